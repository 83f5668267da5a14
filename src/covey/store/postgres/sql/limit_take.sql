-- Slots of a lane are taken, and its next start time and turn move. Primary key of limits.
UPDATE limits SET active = active + %(n)s::integer, next_start = %(next_start)s::bigint,
    served_at = %(served_at)s::bigint
WHERE lane = %(lane)s::text
