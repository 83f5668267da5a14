-- An endpoint that is on. Primary key of endpoints.
SELECT * FROM endpoints WHERE id = :endpoint AND off_at IS NULL AND erased_at IS NULL
