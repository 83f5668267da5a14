-- Give up some of the deliveries that wait for an endpoint that is switched off, and has not been switched on since
-- that was read. Index deliveries_due, primary key of endpoints.
UPDATE deliveries SET state = 'failed', next_at = NULL, ended_at = %(now)s::bigint, error = coalesce(error,
    %(error)s::text)
WHERE id = ANY(ARRAY(
    SELECT id FROM deliveries WHERE endpoint = %(endpoint)s::text AND state = 'waiting'
        AND EXISTS (SELECT 1 FROM endpoints WHERE endpoints.id = %(endpoint)s::text AND endpoints.off_at IS NOT NULL)
    ORDER BY next_at LIMIT %(limit)s::bigint FOR UPDATE SKIP LOCKED
))
