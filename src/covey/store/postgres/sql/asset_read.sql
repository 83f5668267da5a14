-- One asset. Primary key of assets.
SELECT * FROM assets WHERE workspace = %(workspace)s::text AND id = %(id)s::text
