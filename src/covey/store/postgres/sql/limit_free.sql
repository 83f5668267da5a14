-- Slots of lanes are free again. Primary key of limits.
UPDATE limits SET active = limits.active - freed.n
FROM unnest(%(n)s::integer[], %(lane)s::text[]) AS freed (n, lane)
WHERE limits.lane = freed.lane
