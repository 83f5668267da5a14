-- Some items with their live rows and last runs. Primary keys of items, live and runs.
SELECT i.seq, i.custom_id, i.ref, CASE WHEN %(inputs)s::integer = 1 THEN i.input END AS input,
    l.state AS live_state, l.tries AS live_tries, l.due_at,
    l.reason, l.started_at AS live_started_at, l.done, l.whole, r.attempt AS run_attempt, r.state AS run_state, r.tries AS run_tries,
    r.code, r.message, r.started_at AS run_started_at, r.ended_at, r.seconds, r.result
FROM unnest(%(seqs)s::integer[]) AS asked (seq)
CROSS JOIN LATERAL (SELECT * FROM items WHERE items.batch = %(batch)s::bytea AND items.seq = asked.seq LIMIT 1) i
LEFT JOIN LATERAL (SELECT * FROM live WHERE live.batch = i.batch AND live.seq = i.seq LIMIT 1) l ON true
LEFT JOIN LATERAL (
    SELECT * FROM runs WHERE runs.batch = i.batch AND runs.seq = i.seq AND runs.last = 1 LIMIT 1
) r ON true
ORDER BY i.seq
