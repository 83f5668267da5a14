-- A batch's counts beside what its rows say: the proof that they add up. Reads every row of the batch.
SELECT c.total AS kept_total, c.deferred AS kept_deferred, c.active AS kept_active, c.succeeded AS kept_succeeded,
    c.failed AS kept_failed, c.canceled AS kept_canceled,
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
    END AS canceled
FROM counts c WHERE c.batch = %(batch)s::bytea
