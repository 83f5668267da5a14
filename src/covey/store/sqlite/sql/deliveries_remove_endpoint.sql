-- Remove a piece of the deliveries for a deleted endpoint. Index deliveries_endpoint.
DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE endpoint = :endpoint LIMIT :limit)
