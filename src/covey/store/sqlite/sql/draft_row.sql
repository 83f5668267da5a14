-- A draft, if it still is one. Primary key of batches.
SELECT id, workspace, kind, lane, origin, fingerprint, start_at FROM batches
WHERE id = :batch AND accepted_at IS NULL AND erased_at IS NULL
