-- A draft becomes a batch. Primary key of batches.
UPDATE batches SET accepted_at = :now, actor = :actor WHERE id = :batch
