-- A lane whose breaker was open lets one item try. Primary key of limits.
UPDATE limits SET open_until = :until, probe = :probe WHERE lane = :lane
