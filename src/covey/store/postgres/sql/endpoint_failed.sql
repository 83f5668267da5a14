-- An endpoint did not accept a delivery; since when that is so. Primary key of endpoints.
UPDATE endpoints SET failing_since = coalesce(failing_since, %(now)s::bigint) WHERE id = %(endpoint)s::text
RETURNING failing_since
