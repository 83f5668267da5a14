-- Nobody else changes these lanes, or their shares, until this transaction ends. In one order for all. Primary key of
-- limits.
SELECT lane FROM limits WHERE lane = ANY(%(lanes)s::text[]) ORDER BY lane FOR NO KEY UPDATE
