-- A batch is paused. Primary key of batches.
UPDATE batches SET paused_at = :now, pause_reason = :reason WHERE id = :batch
