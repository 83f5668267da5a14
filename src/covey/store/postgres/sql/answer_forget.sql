-- An idempotent request may be tried again. Primary key of idempotency.
DELETE FROM idempotency WHERE workspace = %(workspace)s::text AND key = %(key)s::text
