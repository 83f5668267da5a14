-- When the next deferred item of a batch is due: the earliest of each number of returns (0 … 2), so that it costs the
-- same for a million of them. Index live_due.
SELECT asked.batch, least(
    (SELECT min(due_at) FROM live WHERE live.batch = asked.batch AND state = 0 AND returns = 0),
    (SELECT min(due_at) FROM live WHERE live.batch = asked.batch AND state = 0 AND returns = 1),
    (SELECT min(due_at) FROM live WHERE live.batch = asked.batch AND state = 0 AND returns = 2)
) AS due_at
FROM unnest(%(batch)s::bytea[]) AS asked (batch)
