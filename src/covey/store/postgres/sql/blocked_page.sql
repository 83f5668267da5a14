-- A page of a workspace's blocked refs. Primary key of blocked.
SELECT ref, reason, created_at FROM blocked WHERE workspace = %(workspace)s::text AND ref > %(after)s::text
ORDER BY ref LIMIT %(limit)s::bigint
