-- Deferred items that are due, those never returned first; each number of returns (0 … 2) is a range of its own, so
-- that those not due yet cost nothing. Index live_due, primary key of items.
SELECT due.seq, due.attempt, due.tries, due.returns, due.losses, i.custom_id, i.ref, i.zone, i.input
FROM (
    SELECT * FROM (
        (SELECT * FROM live
        WHERE batch = %(batch)s::bytea AND state = 0 AND returns = 0 AND due_at <= %(now)s::bigint
        ORDER BY due_at LIMIT %(limit)s::bigint)
        UNION ALL
        (SELECT * FROM live
        WHERE batch = %(batch)s::bytea AND state = 0 AND returns = 1 AND due_at <= %(now)s::bigint
        ORDER BY due_at LIMIT %(limit)s::bigint)
        UNION ALL
        (SELECT * FROM live
        WHERE batch = %(batch)s::bytea AND state = 0 AND returns = 2 AND due_at <= %(now)s::bigint
        ORDER BY due_at LIMIT %(limit)s::bigint)
    ) every
    ORDER BY returns, due_at
    LIMIT %(limit)s::bigint
) due CROSS JOIN LATERAL (
    SELECT custom_id, ref, zone, input FROM items WHERE items.batch = due.batch AND items.seq = due.seq LIMIT 1
) i
ORDER BY due.returns, due.due_at
