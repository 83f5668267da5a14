-- An endpoint is told nothing any more. Primary key of endpoints.
UPDATE endpoints SET off_at = %(now)s::bigint, off_reason = %(off_reason)s::text, leftovers = 1
WHERE id = %(endpoint)s::text
