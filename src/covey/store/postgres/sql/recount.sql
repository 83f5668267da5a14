-- A batch's counts beside what its rows say: the proof that they add up. Reads every row of the batch.
SELECT c.total AS kept_total, c.deferred AS kept_deferred, c.active AS kept_active, c.succeeded AS kept_succeeded,
    c.failed AS kept_failed, c.canceled AS kept_canceled, c.spent AS kept_spent, u.items AS kept_used_items,
    u.micros AS kept_used_micros, u.tokens_in AS kept_used_tokens_in, u.tokens_out AS kept_used_tokens_out,
    u.cost AS kept_used_cost,
    (SELECT count(*) FROM items WHERE batch = c.batch) AS total,
    CASE WHEN c.stopped = 1 THEN 0 ELSE (SELECT count(*) FROM live WHERE batch = c.batch AND state = 0) END AS deferred,
    (SELECT count(*) FROM live WHERE batch = c.batch AND state = 1) AS active,
    (SELECT count(*) FROM runs WHERE batch = c.batch AND last = 1 AND state = 'succeeded') AS succeeded,
    (SELECT count(*) FROM runs WHERE batch = c.batch AND last = 1 AND state = 'failed') AS failed,
    CASE WHEN c.stopped = 1 THEN
        (SELECT count(*) FROM items i WHERE i.batch = c.batch
            AND NOT EXISTS (SELECT 1 FROM live l WHERE l.batch = i.batch AND l.seq = i.seq AND l.state = 1)
            AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.batch = i.batch AND r.seq = i.seq
                AND r.last = 1 AND r.state IN ('succeeded', 'failed')))
    ELSE
        (SELECT count(*) FROM runs WHERE batch = c.batch AND last = 1 AND state = 'canceled')
    END AS canceled,
    r.cost AS spent, r.items AS used_items, r.micros AS used_micros, r.tokens_in AS used_tokens_in,
    r.tokens_out AS used_tokens_out, r.cost AS used_cost
FROM counts c, (
    SELECT coalesce(sum(items), 0)::bigint AS items, coalesce(sum(micros), 0)::bigint AS micros,
        coalesce(sum(tokens_in), 0)::bigint AS tokens_in, coalesce(sum(tokens_out), 0)::bigint AS tokens_out,
        coalesce(sum(cost), 0)::bigint AS cost
    FROM usage WHERE batch = %(batch)s::bytea
) u, (
    SELECT count(*) AS items, coalesce(sum((charged * 1000000)::bigint), 0)::bigint AS micros,
        coalesce(sum(tokens_in), 0)::bigint AS tokens_in, coalesce(sum(tokens_out), 0)::bigint AS tokens_out,
        coalesce(sum(cost), 0)::bigint AS cost
    FROM runs WHERE batch = %(batch)s::bytea AND last = 1 AND state = 'succeeded'
) r
WHERE c.batch = %(batch)s::bytea
