-- Those of some assets that a workspace has. Primary key of assets.
SELECT * FROM assets WHERE workspace = %(workspace)s::text AND id = ANY(%(among)s::text[])
