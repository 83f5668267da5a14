-- An endpoint accepted a delivery. Primary key of endpoints.
UPDATE endpoints SET failing_since = NULL, delivered_at = :now WHERE id = :endpoint
