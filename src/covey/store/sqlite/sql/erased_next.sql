-- The batch that was erased first, or next after another, of those that wait to be removed. Index batches_erased,
-- primary key of batches.
SELECT id FROM batches
WHERE erased_at IS NOT NULL
    AND (:after IS NULL OR (erased_at, id) > (SELECT erased_at, id FROM batches WHERE id = :after))
ORDER BY erased_at, id
LIMIT 1
