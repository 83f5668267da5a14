-- Some of the deliveries that an endpoint failed to take within a time are to be sent again. Index deliveries_failed.
UPDATE deliveries SET state = 'waiting', next_at = %(now)s::bigint, attempts = 0, ended_at = NULL, status = NULL,
    error = NULL
WHERE id = ANY(ARRAY(
    SELECT id FROM deliveries
    WHERE state = 'failed' AND (endpoint, ended_at) >= (%(endpoint)s::text, %(since)s::bigint)
        AND (endpoint, ended_at) <= (%(endpoint)s::text, %(until)s::bigint)
    ORDER BY endpoint, ended_at LIMIT %(limit)s::bigint
))
