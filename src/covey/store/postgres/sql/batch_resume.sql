-- A batch goes on. Primary key of batches.
UPDATE batches SET paused_at = NULL, pause_reason = NULL WHERE id = %(batch)s::bytea
