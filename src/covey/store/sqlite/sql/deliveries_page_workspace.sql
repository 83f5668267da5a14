-- A page of a workspace's deliveries, newest first. Index deliveries_workspace, primary key of endpoints.
SELECT d.id, d.endpoint, d.workspace, d.batch, d.seq, d.type, d.at, d.data, d.state, d.attempts, d.next_at, d.status,
    d.error, d.ended_at
FROM deliveries d CROSS JOIN endpoints e
WHERE d.workspace = :workspace AND (:state IS NULL OR d.state = :state)
    AND (:before IS NULL OR d.id < :before) AND e.id = d.endpoint AND e.erased_at IS NULL
ORDER BY d.id DESC
LIMIT :limit
