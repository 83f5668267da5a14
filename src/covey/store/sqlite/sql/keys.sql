-- The keys of a workspace, or all.
SELECT * FROM keys WHERE :workspace IS NULL OR workspace = :workspace ORDER BY created_at, id
