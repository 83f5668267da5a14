-- Nobody else changes this asset until this transaction ends. Primary key of assets.
SELECT id FROM assets WHERE workspace = %(workspace)s::text AND id = %(id)s::text FOR NO KEY UPDATE
