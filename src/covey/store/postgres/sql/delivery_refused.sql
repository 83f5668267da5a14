-- A delivery was not accepted: it is tried again, or given up. Primary key of deliveries.
UPDATE deliveries SET state = CASE WHEN %(next_at)s::bigint IS NULL THEN 'failed' ELSE 'waiting' END,
    next_at = %(next_at)s::bigint,
    ended_at = %(ended_at)s::bigint, status = %(status)s::integer, error = %(error)s::text
WHERE id = %(id)s::bytea AND next_at IS NOT NULL
