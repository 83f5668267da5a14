-- One asset. Primary key of assets.
SELECT * FROM assets WHERE workspace = :workspace AND id = :id
