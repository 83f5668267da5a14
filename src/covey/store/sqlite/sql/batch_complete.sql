-- The last item of a batch ended: from now on it is kept for as long as it was asked. Primary key of batches.
UPDATE batches SET completed_at = :now, deletes_at = coalesce(deletes_at, :now + keep_for) WHERE id = :batch
