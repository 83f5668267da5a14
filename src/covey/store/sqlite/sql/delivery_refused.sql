-- A delivery was not accepted: it is tried again, or given up. Primary key of deliveries.
UPDATE deliveries SET state = CASE WHEN :next_at IS NULL THEN 'failed' ELSE 'waiting' END, next_at = :next_at,
    ended_at = :ended_at, status = :status, error = :error
WHERE id = :id AND next_at IS NOT NULL
