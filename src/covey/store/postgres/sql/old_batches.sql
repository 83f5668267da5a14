-- Batches of a kind that ended before a time and are still shown. Index batches_workspace is of no use here: rare.
SELECT id FROM batches WHERE kind = %(kind)s::text AND completed_at < %(before)s::bigint AND erased_at IS NULL
LIMIT %(limit)s::bigint
