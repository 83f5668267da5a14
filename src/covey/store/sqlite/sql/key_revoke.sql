-- A key holds no more. Primary key of keys.
UPDATE keys SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL
