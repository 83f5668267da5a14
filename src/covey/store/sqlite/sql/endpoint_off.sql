-- An endpoint is told nothing any more. Primary key of endpoints.
UPDATE endpoints SET off_at = :now, off_reason = :off_reason, sweep_at = :now WHERE id = :endpoint
