-- When the next deferred item of a batch is due. Index live_due.
SELECT min(due_at) FROM live WHERE batch = :batch AND state = 0
