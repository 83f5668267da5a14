-- How many batches of a kind, given as a list, a workspace has open, and how many items wait in all. Index batches_open,
-- primary key of counts.
SELECT count(*) FILTER (WHERE b.origin = 'batch' AND b.kind = %(kind)s::text) AS batches,
    coalesce(sum(c.total - c.active - c.succeeded - c.failed - c.canceled), 0) AS waiting
FROM batches b JOIN counts c ON c.batch = b.id
WHERE b.workspace = %(workspace)s::text AND b.completed_at IS NULL AND b.accepted_at IS NOT NULL
