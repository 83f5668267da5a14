-- Deliveries were accepted; by which endpoints. Primary key of deliveries.
UPDATE deliveries SET state = 'delivered', next_at = NULL, ended_at = accepted.now, status = accepted.status,
    error = NULL
FROM unnest(%(now)s::bigint[], %(status)s::integer[], %(id)s::bytea[]) AS accepted (now, status, id)
WHERE deliveries.id = accepted.id AND next_at IS NOT NULL
RETURNING deliveries.endpoint
