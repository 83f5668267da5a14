-- The keys of a workspace, or all.
SELECT * FROM keys WHERE %(workspace)s::text IS NULL OR workspace = %(workspace)s::text ORDER BY created_at, id
