-- The newest batch made of the same list for the same purpose on the same lane that is open or young. Index
-- batches_fingerprint: few batches share a fingerprint, so the lane needs none.
SELECT id FROM batches
WHERE workspace = %(workspace)s::text AND fingerprint = %(fingerprint)s::text AND lane = %(lane)s::text
    AND accepted_at IS NOT NULL AND (completed_at IS NULL OR accepted_at > %(since)s::bigint) AND erased_at IS NULL
ORDER BY id DESC LIMIT 1
