-- A workspace's name, weight and settings. Primary key of workspaces.
UPDATE workspaces SET name = %(name)s::text, weight = %(weight)s::double precision, settings = %(settings)s::json
WHERE id = %(id)s::text
