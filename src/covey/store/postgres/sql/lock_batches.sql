-- Nobody else changes these batches until this transaction ends. In one order for all. Primary key of counts.
SELECT batch FROM counts WHERE batch = ANY(%(batches)s::bytea[]) ORDER BY batch FOR NO KEY UPDATE
