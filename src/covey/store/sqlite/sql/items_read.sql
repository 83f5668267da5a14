-- Some items with their live rows and last runs. Primary keys of items, live and runs.
SELECT i.seq, i.custom_id, i.ref, CASE WHEN :inputs = 1 THEN i.input END AS input,
    l.state AS live_state, l.tries AS live_tries, l.due_at, l.reason,
    l.started_at AS live_started_at, l.done, l.whole, r.attempt AS run_attempt, r.state AS run_state, r.tries AS run_tries, r.code,
    r.message, r.started_at AS run_started_at, r.ended_at, r.seconds, r.result
FROM items i
LEFT JOIN live l ON l.batch = i.batch AND l.seq = i.seq
LEFT JOIN runs r ON r.batch = i.batch AND r.seq = i.seq AND r.last = 1
WHERE i.batch = :batch AND i.seq IN (SELECT value FROM json_each(:seqs))
ORDER BY i.seq
