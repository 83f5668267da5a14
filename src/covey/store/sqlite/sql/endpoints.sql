-- The endpoints of a workspace that are of no single batch, oldest first. Index endpoints_workspace.
SELECT * FROM endpoints WHERE workspace = :workspace AND batch = x'' AND erased_at IS NULL ORDER BY created_at, id
