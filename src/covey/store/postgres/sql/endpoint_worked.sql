-- Endpoints accepted deliveries. Primary key of endpoints.
UPDATE endpoints SET failing_since = NULL, delivered_at = worked.now
FROM unnest(%(now)s::bigint[], %(endpoint)s::text[]) AS worked (now, endpoint)
WHERE endpoints.id = worked.endpoint
