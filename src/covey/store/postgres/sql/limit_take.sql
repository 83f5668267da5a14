-- Slots of a lane are taken, and its next start time moves. Primary key of limits.
UPDATE limits SET active = active + %(n)s::integer, next_start = %(next_start)s::bigint WHERE lane = %(lane)s::text
