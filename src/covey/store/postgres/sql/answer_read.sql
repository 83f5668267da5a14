-- What is known of an idempotent request, and whether the process that began it lives. Primary key of idempotency.
SELECT i.*, coalesce((SELECT w.dead_at IS NULL FROM workers w WHERE w.id = i.owner), false) AS owner_alive
FROM idempotency i WHERE workspace = %(workspace)s::text AND key = %(key)s::text
