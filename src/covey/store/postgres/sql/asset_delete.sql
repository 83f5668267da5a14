-- An asset goes. Primary key of assets.
DELETE FROM assets WHERE workspace = %(workspace)s::text AND id = %(id)s::text
