-- Endpoints that are on. Primary key of endpoints.
SELECT e.* FROM unnest(%(endpoint)s::text[]) AS asked (endpoint)
CROSS JOIN LATERAL (SELECT * FROM endpoints WHERE endpoints.id = asked.endpoint LIMIT 1) e
WHERE e.off_at IS NULL AND e.erased_at IS NULL
