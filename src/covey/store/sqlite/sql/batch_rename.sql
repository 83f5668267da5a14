-- A batch gets another name. Primary key of batches.
UPDATE batches SET name = :name WHERE id = :batch
