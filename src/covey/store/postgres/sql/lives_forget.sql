-- Forget workers that have been dead for a week and have nothing left to settle. All of workers, index live_worker.
DELETE FROM workers w
WHERE dead_at < (extract(epoch FROM clock_timestamp() - interval '7 days') * 1000000)::bigint
    AND NOT EXISTS (SELECT 1 FROM live WHERE worker = w.id AND state = 1)
