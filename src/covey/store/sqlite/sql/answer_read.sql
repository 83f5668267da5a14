-- What is known of an idempotent request, and whether the process that began it lives. Primary key of idempotency.
SELECT i.*, EXISTS (SELECT 1 FROM workers w WHERE w.id = i.owner AND w.dead_at IS NULL) AS owner_alive
FROM idempotency i WHERE workspace = :workspace AND key = :key
