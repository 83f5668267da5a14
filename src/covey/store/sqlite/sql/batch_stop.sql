-- A batch is stopped; the first reason stays. Primary key of batches.
UPDATE batches SET stopped_at = :now, stop_reason = :reason, stop_message = :message, leftovers = :leftovers
WHERE id = :batch AND stopped_at IS NULL
