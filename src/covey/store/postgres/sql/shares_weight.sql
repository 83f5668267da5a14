-- A workspace's weight holds on every lane. Index shares_workspace. The lanes are locked first, in the order in which
-- claim and finish lock them: shares are changed under their lanes.
WITH locked AS MATERIALIZED (
    SELECT lane FROM limits
    WHERE lane = ANY(ARRAY(SELECT shares.lane FROM shares WHERE shares.workspace = %(workspace)s::text))
    ORDER BY lane FOR NO KEY UPDATE
)
UPDATE shares SET weight = %(weight)s::double precision
WHERE workspace = %(workspace)s::text AND (SELECT count(*) FROM locked) >= 0
