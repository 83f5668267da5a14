-- A batch starts with its first active item. Primary key of batches.
UPDATE batches SET started_at = :now WHERE id = :batch AND started_at IS NULL
