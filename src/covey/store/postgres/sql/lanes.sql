-- All lanes.
SELECT * FROM limits ORDER BY lane
