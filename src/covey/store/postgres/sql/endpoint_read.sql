-- An endpoint. Primary key of endpoints.
SELECT * FROM endpoints WHERE id = %(endpoint)s::text AND erased_at IS NULL
