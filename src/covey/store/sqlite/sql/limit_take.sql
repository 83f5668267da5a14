-- Slots of a lane are taken, and its next start time moves. Primary key of limits.
UPDATE limits SET active = active + :n, next_start = :next_start WHERE lane = :lane
