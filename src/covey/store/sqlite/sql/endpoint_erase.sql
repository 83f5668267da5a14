-- An endpoint is deleted: hidden at once, its deliveries go in pieces. Primary key of endpoints.
UPDATE endpoints SET erased_at = :now, leftovers = 1
WHERE id = :endpoint AND erased_at IS NULL
