-- An endpoint. Primary key of endpoints.
SELECT * FROM endpoints WHERE id = :endpoint AND erased_at IS NULL
