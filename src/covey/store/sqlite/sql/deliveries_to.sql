-- Which endpoint a delivery is for. Primary keys of deliveries and endpoints.
SELECT d.id, d.endpoint FROM deliveries d CROSS JOIN endpoints e ON e.id = d.endpoint
WHERE d.id = :id AND e.erased_at IS NULL
