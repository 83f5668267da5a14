-- Another process goes on with a request whose first process is gone; only one does. Primary key of idempotency.
UPDATE idempotency SET owner = %(owner)s::text
WHERE workspace = %(workspace)s::text AND key = %(key)s::text AND owner = %(old)s::text
