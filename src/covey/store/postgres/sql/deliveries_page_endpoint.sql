-- A page of an endpoint's deliveries, newest first. Index deliveries_endpoint, primary key of endpoints.
SELECT d.id, d.endpoint, d.workspace, d.batch, d.seq, d.type, d.at, d.data, d.state, d.attempts, d.next_at, d.status,
    d.error, d.ended_at
FROM deliveries d
CROSS JOIN LATERAL (SELECT * FROM endpoints WHERE endpoints.id = d.endpoint LIMIT 1) e
WHERE d.endpoint = %(endpoint)s::text AND e.workspace = %(workspace)s::text
    AND (%(state)s::text IS NULL OR d.state = %(state)s::text)
    AND (%(before)s::bytea IS NULL OR d.id < %(before)s::bytea) AND e.erased_at IS NULL
ORDER BY d.id DESC NULLS LAST
LIMIT %(limit)s::bigint
