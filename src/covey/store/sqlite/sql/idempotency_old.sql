-- Forget answers kept long enough. Index idempotency_age.
DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency WHERE created_at < :before LIMIT :limit)
