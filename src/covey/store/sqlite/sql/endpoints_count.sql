-- How many endpoints a workspace has: those that have an address and are of no single batch. Index endpoints_workspace.
SELECT count(*) FROM endpoints WHERE workspace = :workspace AND batch = x'' AND url <> '' AND erased_at IS NULL
