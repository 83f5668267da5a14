-- Take some deliveries of endpoints that are due. Those that somebody else takes at this moment are left to him: they
-- are a plain queue, in which no row has to be seen by all. Index deliveries_due, primary key of deliveries.
WITH taken AS MATERIALIZED (
    SELECT d.id, asked.until
    FROM unnest(%(until)s::bigint[], %(endpoint)s::text[], %(now)s::bigint[], %(n)s::integer[])
        AS asked (until, endpoint, now, n)
    CROSS JOIN LATERAL (
        SELECT id FROM deliveries WHERE endpoint = asked.endpoint AND state = 'waiting' AND next_at <= asked.now
        ORDER BY next_at LIMIT asked.n FOR UPDATE SKIP LOCKED
    ) d
)
UPDATE deliveries SET next_at = taken.until, attempts = attempts + 1
FROM taken WHERE deliveries.id = taken.id
RETURNING deliveries.id, deliveries.endpoint, deliveries.workspace, deliveries.batch, deliveries.seq, deliveries.type,
    deliveries.at, deliveries.data, deliveries.state, deliveries.attempts, deliveries.next_at, deliveries.status,
    deliveries.error, deliveries.ended_at
