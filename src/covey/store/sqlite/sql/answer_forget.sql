-- An idempotent request may be tried again. Primary key of idempotency.
DELETE FROM idempotency WHERE workspace = :workspace AND key = :key
