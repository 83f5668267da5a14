-- Forget answers kept long enough. Index idempotency_age.
DELETE FROM idempotency WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM idempotency WHERE created_at < %(before)s::bigint ORDER BY created_at LIMIT %(limit)s::bigint
))
