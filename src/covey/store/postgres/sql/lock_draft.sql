-- Nobody else changes this draft, or makes it a batch, until this transaction ends. Primary key of batches.
SELECT id FROM batches WHERE id = %(batch)s::bytea FOR NO KEY UPDATE
