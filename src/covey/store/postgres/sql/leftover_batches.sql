-- Stopped batches whose deferred rows wait to be removed. Index batches_leftovers.
SELECT id FROM batches WHERE leftovers = 1 LIMIT 10
