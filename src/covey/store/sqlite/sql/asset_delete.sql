-- An asset goes. Primary key of assets.
DELETE FROM assets WHERE workspace = :workspace AND id = :id
