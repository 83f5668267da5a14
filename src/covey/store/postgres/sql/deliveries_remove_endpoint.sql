-- Remove a piece of the deliveries for a deleted endpoint. Index deliveries_endpoint.
DELETE FROM deliveries WHERE id = ANY(ARRAY(
    SELECT id FROM deliveries WHERE endpoint = %(endpoint)s::text ORDER BY id LIMIT %(limit)s::bigint
))
