-- All workers that are known, the living first, with their active runs: the newest is the owner. All of workers, live_worker.
SELECT w.id, NULL AS host, NULL AS pid, NULL AS version, w.started_at, NULL AS beat_age,
    w.dead_at IS NULL AND w.id = (SELECT id FROM workers ORDER BY started_at DESC, rowid DESC LIMIT 1) AS held,
    w.dead_at,
    (SELECT count(*) FROM live WHERE worker = w.id AND state = 1) AS active
FROM workers w
ORDER BY held DESC, w.started_at
