-- Batches whose time is over, and whose runs harm nobody when they are dropped or that are still open. Index
-- batches_expiring.
SELECT id FROM batches WHERE expires_at <= %(now)s::bigint AND aborted_at IS NULL AND completed_at IS NULL
    AND (stopped_at IS NULL OR repeatable = 1) AND accepted_at IS NOT NULL LIMIT %(limit)s::bigint
