-- An endpoint is deleted: hidden at once, its deliveries go in pieces. Primary key of endpoints.
UPDATE endpoints SET erased_at = %(now)s::bigint, sweep_at = %(now)s::bigint
WHERE id = %(endpoint)s::text AND erased_at IS NULL
