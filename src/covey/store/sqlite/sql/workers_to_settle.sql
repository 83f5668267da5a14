-- Workers other than one's own that are not dead yet, or dead with runs in their hands. Index live_worker.
SELECT id FROM workers w WHERE id <> :me
    AND (dead_at IS NULL OR EXISTS (SELECT 1 FROM live WHERE worker = w.id AND state = 1))
