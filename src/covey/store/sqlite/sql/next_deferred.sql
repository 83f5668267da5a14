-- When the next deferred item of a batch is due: the earliest of each number of returns (0 … 2), so that it costs the
-- same for a million of them. Index live_due.
SELECT :batch, min(due_at) FROM (
    SELECT min(due_at) AS due_at FROM live WHERE batch = :batch AND state = 0 AND returns = 0
    UNION ALL
    SELECT min(due_at) FROM live WHERE batch = :batch AND state = 0 AND returns = 1
    UNION ALL
    SELECT min(due_at) FROM live WHERE batch = :batch AND state = 0 AND returns = 2
)
