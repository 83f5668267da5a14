-- The hot row of a new batch.
INSERT INTO counts (batch, workspace, lane, total, cap, pace, max_cost, run_cost, next_at)
SELECT id, workspace, lane, %(total)s::integer, asked_cap, asked_pace, max_cost, run_cost, %(next_at)s::bigint
FROM batches WHERE id = %(batch)s::bytea
