-- Drafts whose owner is dead. Index batches_drafts.
SELECT b.id FROM batches b LEFT JOIN workers w ON w.id = b.owner
WHERE b.accepted_at IS NULL AND b.erased_at IS NULL AND b.owner <> %(me)s::text
    AND (w.id IS NULL OR w.dead_at IS NOT NULL)
LIMIT 100
