-- A worker's life ends, once. The strong lock waits for its claims. Primary key of workers.
WITH alive AS (SELECT id FROM workers WHERE id = %(worker)s::text AND dead_at IS NULL FOR UPDATE)
UPDATE workers w SET dead_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
FROM alive WHERE w.id = alive.id AND w.dead_at IS NULL
