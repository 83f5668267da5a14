-- A lane's far side does not answer. Primary key of limits.
UPDATE limits SET open_until = :until, open_reason = :reason, open_since = coalesce(open_since, :now), probe = NULL
WHERE lane = :lane
