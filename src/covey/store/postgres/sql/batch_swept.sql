-- A stopped batch has no deferred rows any more. Primary key of batches.
UPDATE batches SET leftovers = 0 WHERE id = %(batch)s::bytea
