-- The active runs of a stopped batch are to be dropped. Primary key of batches.
UPDATE batches SET aborted_at = :now WHERE id = :batch AND aborted_at IS NULL
