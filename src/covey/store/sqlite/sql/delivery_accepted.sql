-- A delivery was accepted; by which endpoint. Primary key of deliveries.
UPDATE deliveries SET state = 'delivered', next_at = NULL, ended_at = :now, status = :status, error = NULL
WHERE id = :id AND next_at IS NOT NULL
RETURNING endpoint
