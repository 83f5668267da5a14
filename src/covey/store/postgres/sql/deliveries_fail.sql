-- Give up some of the deliveries that wait for an endpoint that is switched off. Index deliveries_due.
UPDATE deliveries SET state = 'failed', next_at = NULL, ended_at = %(now)s::bigint, error = coalesce(error,
    %(error)s::text)
WHERE id = ANY(ARRAY(
    SELECT id FROM deliveries WHERE endpoint = %(endpoint)s::text AND state = 'waiting'
    ORDER BY next_at LIMIT %(limit)s::bigint FOR UPDATE SKIP LOCKED
))
