-- Slots of a lane are taken, and its next start time and turn move. Primary key of limits.
UPDATE limits SET active = active + :n, next_start = :next_start, served_at = :served_at WHERE lane = :lane
