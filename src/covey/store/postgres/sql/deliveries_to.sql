-- Which endpoints deliveries are for. Primary keys of deliveries and endpoints.
SELECT d.id, d.endpoint FROM unnest(%(id)s::bytea[]) AS asked (id)
CROSS JOIN LATERAL (SELECT deliveries.id, endpoint FROM deliveries WHERE deliveries.id = asked.id LIMIT 1) d
CROSS JOIN LATERAL (SELECT erased_at FROM endpoints WHERE endpoints.id = d.endpoint LIMIT 1) e
WHERE e.erased_at IS NULL
