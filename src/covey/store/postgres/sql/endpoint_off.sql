-- An endpoint is told nothing any more. Primary key of endpoints.
UPDATE endpoints SET off_at = %(now)s::bigint, off_reason = %(off_reason)s::text, sweep_at = %(now)s::bigint
WHERE id = %(endpoint)s::text
