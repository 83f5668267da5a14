-- An endpoint was changed. Primary key of endpoints.
UPDATE endpoints SET url = %(url)s::text, description = %(description)s::text, events = %(events)s::text,
    items = %(items)s::smallint, singles = %(singles)s::smallint, secrets = %(secrets)s::json,
    failing_since = %(failing_since)s::bigint, off_at = %(off_at)s::bigint, off_reason = %(off_reason)s::text,
    sweep_at = %(sweep_at)s::bigint
WHERE id = %(endpoint)s::text
