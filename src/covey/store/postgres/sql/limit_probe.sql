-- A lane whose breaker was open lets one item try. Primary key of limits.
UPDATE limits SET open_until = %(until)s::bigint, probe = %(probe)s::text WHERE lane = %(lane)s::text
