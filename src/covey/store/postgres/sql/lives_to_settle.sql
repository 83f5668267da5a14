-- The dead workers, other than oneself, that have runs in their hands. Primary key of workers, index live_worker.
SELECT id FROM workers w
WHERE dead_at IS NOT NULL AND id <> %(me)s::text
    AND EXISTS (SELECT 1 FROM live WHERE worker = w.id AND state = 1)
ORDER BY dead_at
