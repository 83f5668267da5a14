-- Batches whose time is over. Index batches_expiring.
SELECT id FROM batches WHERE expires_at <= %(now)s::bigint AND stopped_at IS NULL AND completed_at IS NULL
    AND accepted_at IS NOT NULL LIMIT %(limit)s::bigint
