-- Those of some assets that a workspace has. Primary key of assets.
SELECT * FROM assets WHERE workspace = :workspace AND id IN (SELECT value FROM json_each(:among))
