-- Slots kept past their time. Index held_until.
SELECT * FROM held WHERE until <= %(now)s::bigint LIMIT %(limit)s::bigint
