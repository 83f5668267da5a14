-- Active runs say how far they are. One that somebody else writes just now is passed over: who waits for nobody locks
-- nobody out. Primary key of live.
UPDATE live SET done = new.done, whole = new.whole
FROM (
    SELECT there.batch, there.seq, asked.done, asked.whole
    FROM unnest(
        %(done)s::double precision[], %(whole)s::double precision[], %(batch)s::bytea[], %(seq)s::integer[],
        %(attempt)s::integer[], %(worker)s::text[]
    ) AS asked (done, whole, batch, seq, attempt, worker)
    CROSS JOIN LATERAL (
        SELECT * FROM live WHERE live.batch = asked.batch AND live.seq = asked.seq AND live.state = 1
        LIMIT 1 FOR UPDATE SKIP LOCKED
    ) there
    WHERE there.attempt = asked.attempt AND there.worker = asked.worker
) new
WHERE live.batch = new.batch AND live.seq = new.seq
