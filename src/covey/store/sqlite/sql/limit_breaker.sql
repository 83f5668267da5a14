-- A lane's breaker as it is after a finish. Primary key of limits.
UPDATE limits SET open_until = :open_until, open_reason = :open_reason, open_since = :open_since, opens = :opens,
    probe = :probe, streak_code = :streak_code, streak_items = :streak_items, alike = :alike, worked_at = :worked_at
WHERE lane = :lane
