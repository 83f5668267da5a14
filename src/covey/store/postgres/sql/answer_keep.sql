-- The answer to an idempotent request. Primary key of idempotency.
UPDATE idempotency SET status = %(status)s::integer, body = %(body)s::bytea
WHERE workspace = %(workspace)s::text AND key = %(key)s::text
