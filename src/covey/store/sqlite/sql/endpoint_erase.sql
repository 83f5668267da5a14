-- An endpoint is deleted: hidden at once, its deliveries go in pieces. Primary key of endpoints.
UPDATE endpoints SET erased_at = :now, sweep_at = :now
WHERE id = :endpoint AND erased_at IS NULL
