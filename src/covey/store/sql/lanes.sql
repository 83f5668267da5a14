-- name: limit_breaker
-- A lane's breaker as it is after a finish. Primary key of limits.
UPDATE limits SET open_until = %(open_until)s::bigint, open_reason = %(open_reason)s::text,
    open_since = %(open_since)s::bigint, opens = %(opens)s::integer, probe = %(probe)s::text,
    streak_code = %(streak_code)s::text, streak_items = %(streak_items)s::text, alike = %(alike)s::integer,
    worked_at = %(worked_at)s::bigint
WHERE lane = %(lane)s::text

-- name: lane_row
-- One lane with its limits and breaker. Primary key of limits.
SELECT * FROM limits WHERE lane = %(lane)s::text

-- name: lane_open
-- A lane's far side does not answer. Primary key of limits.
UPDATE limits SET open_until = %(until)s::bigint, open_reason = %(reason)s::text,
    open_since = coalesce(open_since, %(now)s::bigint), probe = NULL
WHERE lane = %(lane)s::text

-- name: lane_put
-- Create a lane or change its limits.
INSERT INTO limits (lane, cap, pace) VALUES (%(lane)s::text, %(cap)s::integer, %(pace)s::double precision)
ON CONFLICT (lane) DO UPDATE SET cap = excluded.cap, pace = excluded.pace

-- name: lanes
-- All lanes.
SELECT * FROM limits ORDER BY lane

-- name: shares_weight (postgres)
-- A workspace's weight holds on every lane. Index shares_workspace. The lanes are locked first, in the order in which
-- claim and finish lock them: shares are changed under their lanes.
WITH locked AS MATERIALIZED (
    SELECT lane FROM limits
    WHERE lane = ANY(ARRAY(SELECT shares.lane FROM shares WHERE shares.workspace = %(workspace)s::text))
    ORDER BY lane FOR NO KEY UPDATE
)
UPDATE shares SET weight = %(weight)s::double precision
WHERE workspace = %(workspace)s::text AND (SELECT count(*) FROM locked) >= 0

-- name: shares_weight (sqlite)
-- A workspace's weight holds on every lane.
-- Differs: the ids are found once, as an array; rows are locked; SQLite has one writer.
UPDATE shares SET weight = :weight WHERE workspace = :workspace
