-- A lane's breaker as it is after a finish. Primary key of limits.
UPDATE limits SET open_until = %(open_until)s::bigint, open_reason = %(open_reason)s::text,
    open_since = %(open_since)s::bigint, opens = %(opens)s::integer, probe = %(probe)s::text,
    streak_code = %(streak_code)s::text, streak_items = %(streak_items)s::text, alike = %(alike)s::integer,
    worked_at = %(worked_at)s::bigint
WHERE lane = %(lane)s::text
