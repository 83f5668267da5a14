-- All workspaces.
SELECT * FROM workspaces ORDER BY created_at, id
