-- A lane's far side does not answer. Primary key of limits.
UPDATE limits SET open_until = %(until)s::bigint, open_reason = %(reason)s::text,
    open_since = coalesce(open_since, %(now)s::bigint), probe = NULL
WHERE lane = %(lane)s::text
