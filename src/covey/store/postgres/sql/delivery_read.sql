-- A delivery. Primary keys of deliveries and endpoints.
SELECT d.id, d.endpoint, d.workspace, d.batch, d.seq, d.type, d.at, d.data, d.state, d.attempts, d.next_at, d.status,
    d.error, d.ended_at
FROM deliveries d JOIN endpoints e ON e.id = d.endpoint
WHERE d.id = %(id)s::bytea AND e.erased_at IS NULL
