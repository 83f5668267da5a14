-- The answer to an idempotent request. Primary key of idempotency.
UPDATE idempotency SET status = :status, body = :body WHERE workspace = :workspace AND key = :key
