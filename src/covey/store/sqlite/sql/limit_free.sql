-- Slots of a lane are free again. Primary key of limits.
UPDATE limits SET active = active - :n WHERE lane = :lane
