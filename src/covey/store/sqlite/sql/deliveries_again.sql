-- Some of the deliveries that an endpoint failed to take within a time are to be sent again. Index deliveries_failed.
UPDATE deliveries SET state = 'waiting', next_at = :now, attempts = 0, ended_at = NULL, status = NULL, error = NULL
WHERE id IN (
    SELECT id FROM deliveries
    WHERE state = 'failed' AND (endpoint, ended_at) >= (:endpoint, :since)
        AND (endpoint, ended_at) <= (:endpoint, :until)
    ORDER BY endpoint, ended_at LIMIT :limit
)
