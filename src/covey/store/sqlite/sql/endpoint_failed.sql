-- An endpoint did not accept a delivery; since when that is so. Primary key of endpoints.
UPDATE endpoints SET failing_since = coalesce(failing_since, :now) WHERE id = :endpoint RETURNING failing_since
