-- The newest batch made of the same list for the same purpose that is open or young. Index batches_fingerprint.
SELECT id FROM batches
WHERE workspace = %(workspace)s::text AND fingerprint = %(fingerprint)s::text AND accepted_at IS NOT NULL
    AND (completed_at IS NULL OR accepted_at > %(since)s::bigint) AND erased_at IS NULL
ORDER BY id DESC LIMIT 1
