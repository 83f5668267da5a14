-- The active runs of a stopped batch are to be dropped. Primary key of batches.
UPDATE batches SET aborted_at = %(now)s::bigint WHERE id = %(batch)s::bytea AND aborted_at IS NULL
