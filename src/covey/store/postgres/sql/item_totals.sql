-- How many items of a workspace's batches of a kind are where. Index batches_workspace, primary key of counts.
SELECT coalesce(sum(c.total - c.active - c.succeeded - c.failed - c.canceled), 0) AS waiting,
    coalesce(sum(c.active), 0) AS active,
    coalesce(sum(c.succeeded), 0) AS succeeded,
    coalesce(sum(c.failed), 0) AS failed,
    coalesce(sum(c.canceled), 0) AS canceled
FROM batches b JOIN counts c ON c.batch = b.id
WHERE b.workspace = %(workspace)s::text AND b.kind = %(kind)s::text AND b.accepted_at IS NOT NULL AND b.erased_at IS NULL
