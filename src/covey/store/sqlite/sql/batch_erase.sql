-- A batch is hidden until its rows are removed. Primary key of batches.
UPDATE batches SET erased_at = :now WHERE id = :batch AND erased_at IS NULL
