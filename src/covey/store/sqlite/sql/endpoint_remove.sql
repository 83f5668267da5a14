-- Remove a deleted endpoint, which has no deliveries left. Primary key of endpoints.
DELETE FROM endpoints WHERE id = :endpoint AND erased_at IS NOT NULL
