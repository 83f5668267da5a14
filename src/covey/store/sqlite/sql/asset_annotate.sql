-- What an owner keeps with an asset. Primary key of assets.
UPDATE assets SET notes = :notes WHERE workspace = :workspace AND id = :id
