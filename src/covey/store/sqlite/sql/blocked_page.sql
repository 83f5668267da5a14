-- A page of a workspace's blocked refs. Primary key of blocked.
SELECT ref, reason, created_at FROM blocked WHERE workspace = :workspace AND ref > :after ORDER BY ref LIMIT :limit
