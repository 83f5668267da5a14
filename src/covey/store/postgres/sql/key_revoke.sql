-- A key holds no more. Primary key of keys.
UPDATE keys SET revoked_at = %(now)s::bigint WHERE id = %(id)s::text AND revoked_at IS NULL
