-- Nobody else changes the lanes of these batches, or their shares, until this transaction ends. In one order for all.
-- Primary keys of counts and limits.
SELECT lane FROM limits
WHERE lane = ANY(ARRAY(SELECT counts.lane FROM counts WHERE counts.batch = ANY(%(batches)s::bytea[])))
ORDER BY lane FOR NO KEY UPDATE
