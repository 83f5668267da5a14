-- A batch has ended: it can start nothing any more. Primary key of counts.
UPDATE counts SET next_at = NULL WHERE batch = :batch
