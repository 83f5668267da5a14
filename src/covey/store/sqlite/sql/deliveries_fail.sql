-- Give up some of the deliveries that wait for an endpoint that is switched off. Index deliveries_due.
UPDATE deliveries SET state = 'failed', next_at = NULL, ended_at = :now, error = coalesce(error, :error)
WHERE id IN (SELECT id FROM deliveries WHERE endpoint = :endpoint AND state = 'waiting' LIMIT :limit)
