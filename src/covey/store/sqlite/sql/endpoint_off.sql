-- An endpoint is told nothing any more. Primary key of endpoints.
UPDATE endpoints SET off_at = :now, off_reason = :off_reason, leftovers = 1 WHERE id = :endpoint
