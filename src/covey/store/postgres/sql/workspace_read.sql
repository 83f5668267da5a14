-- One workspace. Primary key of workspaces.
SELECT * FROM workspaces WHERE id = %(id)s::text
