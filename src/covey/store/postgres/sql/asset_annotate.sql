-- What an owner keeps with an asset. Primary key of assets.
UPDATE assets SET notes = %(notes)s::json WHERE workspace = %(workspace)s::text AND id = %(id)s::text
