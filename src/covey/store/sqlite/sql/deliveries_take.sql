-- Take some of an endpoint's deliveries that are due. Index deliveries_due.
UPDATE deliveries SET next_at = :until, attempts = attempts + 1
WHERE id IN (
    SELECT id FROM deliveries WHERE endpoint = :endpoint AND state = 'waiting' AND next_at <= :now
    ORDER BY next_at LIMIT :n
)
RETURNING id, endpoint, workspace, batch, seq, type, at, data, state, attempts, next_at, status, error, ended_at
