-- A batch's last item ended. Primary key of batches.
UPDATE batches SET completed_at = :now WHERE id = :batch
