-- name: live_defer (postgres)
-- Items wait for a later start. Primary key of live.
UPDATE live SET state = 0, worker = NULL, started_at = NULL, dropped = 0, done = NULL, whole = NULL, tries = new.tries, returns = new.returns,
    losses = new.losses, due_at = new.due_at, reason = new.reason,
    returned_at = coalesce(new.returned_at, live.returned_at)
FROM unnest(
    %(tries)s::integer[], %(returns)s::integer[], %(losses)s::integer[], %(due_at)s::bigint[], %(reason)s::text[],
    %(returned_at)s::bigint[], %(batch)s::bytea[], %(seq)s::integer[]
) AS new (tries, returns, losses, due_at, reason, returned_at, batch, seq)
WHERE live.batch = new.batch AND live.seq = new.seq

-- name: live_defer (sqlite)
-- An item waits for a later start. Primary key of live.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
UPDATE live SET state = 0, worker = NULL, started_at = NULL, dropped = 0, done = NULL, whole = NULL,
    tries = :tries, returns = :returns, losses = :losses, due_at = :due_at, reason = :reason, returned_at = coalesce(:returned_at, returned_at)
WHERE batch = :batch AND seq = :seq

-- name: live_end (postgres)
-- Items are live no more. Primary key of live.
DELETE FROM live USING unnest(%(batch)s::bytea[], %(seq)s::integer[]) AS gone (batch, seq)
WHERE live.batch = gone.batch AND live.seq = gone.seq

-- name: live_end (sqlite)
-- An item is live no more. Primary key of live.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
DELETE FROM live WHERE batch = :batch AND seq = :seq

-- name: run_new (postgres)
-- Runs have ended.
INSERT INTO runs (batch, seq, attempt, last, state, code, message, worker, tries, started_at, ended_at, seconds,
    charged, tokens_in, tokens_out, cost, result)
SELECT new.batch, new.seq, new.attempt, new.last, new.state, new.code, new.message, new.worker, new.tries,
    new.started_at, new.ended_at, new.seconds, new.charged, new.tokens_in, new.tokens_out, new.cost,
    convert_from(new.result, 'UTF8')::json
FROM unnest(
    %(batch)s::bytea[], %(seq)s::integer[], %(attempt)s::integer[], %(last)s::smallint[], %(state)s::text[],
    %(code)s::text[], %(message)s::text[], %(worker)s::text[], %(tries)s::integer[], %(started_at)s::bigint[],
    %(ended_at)s::bigint[], %(seconds)s::double precision[], %(charged)s::double precision[], %(tokens_in)s::bigint[],
    %(tokens_out)s::bigint[], %(cost)s::bigint[], %(result)s::bytea[]
) AS new (batch, seq, attempt, last, state, code, message, worker, tries, started_at, ended_at, seconds, charged,
    tokens_in, tokens_out, cost, result)

-- name: run_new (sqlite)
-- A run has ended.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
INSERT INTO runs (batch, seq, attempt, last, state, code, message, worker, tries, started_at, ended_at, seconds,
    charged, tokens_in, tokens_out, cost, result)
VALUES (:batch, :seq, :attempt, :last, :state, :code, :message, :worker, :tries, :started_at, :ended_at, :seconds,
    :charged, :tokens_in, :tokens_out, :cost, :result)

-- name: run_replace (postgres)
-- The truth about a run takes the place of the guess. Primary key of runs.
UPDATE runs SET state = %(state)s::text, code = %(code)s::text, message = %(message)s::text,
    seconds = %(seconds)s::double precision, charged = %(charged)s::double precision,
    tokens_in = %(tokens_in)s::bigint, tokens_out = %(tokens_out)s::bigint,
    cost = %(cost)s::bigint, started_at = %(started_at)s::bigint, ended_at = %(ended_at)s::bigint,
    result = convert_from(%(result)s::bytea, 'UTF8')::json
WHERE batch = %(batch)s::bytea AND seq = %(seq)s::integer AND attempt = %(attempt)s::integer

-- name: run_replace (sqlite)
-- Differs: JSON is a type, not bytes.
UPDATE runs SET state = :state, code = :code, message = :message, seconds = :seconds, charged = :charged,
    tokens_in = :tokens_in, tokens_out = :tokens_out, cost = :cost, started_at = :started_at, ended_at = :ended_at, result = :result
WHERE batch = :batch AND seq = :seq AND attempt = :attempt

-- name: run_settled (postgres)
-- Runs that were written down already. Primary key of runs.
SELECT r.batch, r.seq, r.attempt, r.code, r.worker
FROM unnest(%(batch)s::bytea[], %(seq)s::integer[], %(attempt)s::integer[]) AS asked (batch, seq, attempt)
CROSS JOIN LATERAL (
    SELECT * FROM runs
    WHERE runs.batch = asked.batch AND runs.seq = asked.seq AND runs.attempt = asked.attempt AND runs.last = 1
    LIMIT 1
) r

-- name: run_settled (sqlite)
-- A run that was written down already. Primary key of runs.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
SELECT batch, seq, attempt, code, worker FROM runs WHERE batch = :batch AND seq = :seq AND attempt = :attempt AND last = 1

-- name: held_of
-- The slot that a settled run keeps. Primary key of held.
SELECT * FROM held WHERE batch = %(batch)s::bytea AND seq = %(seq)s::integer AND attempt = %(attempt)s::integer

-- name: live_row (postgres)
-- The fence: what the store knows of items that may be in a worker's hands. Primary key of live.
SELECT l.batch, l.seq, l.attempt, l.tries, l.returns, l.losses, l.state, l.worker, l.started_at, l.returned_at,
    l.dropped
FROM unnest(%(batch)s::bytea[], %(seq)s::integer[]) AS asked (batch, seq)
CROSS JOIN LATERAL (SELECT * FROM live WHERE live.batch = asked.batch AND live.seq = asked.seq LIMIT 1) l

-- name: live_row (sqlite)
-- The fence: what the store knows of an item that may be in a worker's hands. Primary key of live.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
SELECT batch, seq, attempt, tries, returns, losses, state, worker, started_at, returned_at, dropped FROM live WHERE batch = :batch AND seq = :seq

-- name: limit_free (postgres)
-- Slots of lanes are free again. Primary key of limits.
UPDATE limits SET active = limits.active - freed.n
FROM unnest(%(n)s::integer[], %(lane)s::text[]) AS freed (n, lane)
WHERE limits.lane = freed.lane

-- name: limit_free (sqlite)
-- Slots of a lane are free again. Primary key of limits.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
UPDATE limits SET active = active - :n WHERE lane = :lane

-- name: share_free (postgres)
-- Slots of shares are free again. Primary key of shares.
UPDATE shares SET active = shares.active - freed.n
FROM unnest(%(n)s::integer[], %(lane)s::text[], %(workspace)s::text[]) AS freed (n, lane, workspace)
WHERE shares.lane = freed.lane AND shares.workspace = freed.workspace

-- name: share_free (sqlite)
-- Slots of a share are free again. Primary key of shares.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
UPDATE shares SET active = active - :n WHERE lane = :lane AND workspace = :workspace

-- name: free_ref (postgres)
-- Refs are free again. Primary key of busy_refs.
DELETE FROM busy_refs
USING unnest(%(workspace)s::text[], %(ref)s::text[], %(batch)s::bytea[], %(seq)s::integer[])
    AS gone (workspace, ref, batch, seq)
WHERE busy_refs.workspace = gone.workspace AND busy_refs.ref = gone.ref AND busy_refs.batch = gone.batch
    AND busy_refs.seq = gone.seq

-- name: free_ref (sqlite)
-- A ref is free again. Primary key of busy_refs.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
DELETE FROM busy_refs WHERE workspace = :workspace AND ref = :ref AND batch = :batch AND seq = :seq

-- name: free_refs_of (postgres)
-- The refs of items that are active no more are free again. Primary keys of items, batches and busy_refs.
DELETE FROM busy_refs
USING unnest(%(batch)s::bytea[], %(seq)s::integer[]) AS gone (batch, seq)
    CROSS JOIN LATERAL (SELECT ref FROM items WHERE items.batch = gone.batch AND items.seq = gone.seq LIMIT 1) i
    CROSS JOIN LATERAL (SELECT workspace FROM batches WHERE batches.id = gone.batch LIMIT 1) b
WHERE busy_refs.workspace = b.workspace AND busy_refs.ref = i.ref AND busy_refs.batch = gone.batch
    AND busy_refs.seq = gone.seq

-- name: free_refs_of (sqlite)
-- The ref of an item that is active no more is free again. Primary keys of items, batches and busy_refs.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
DELETE FROM busy_refs WHERE (workspace, ref) IN (
    SELECT b.workspace, i.ref FROM items i JOIN batches b ON b.id = i.batch WHERE i.batch = :batch AND i.seq = :seq
) AND batch = :batch AND seq = :seq

-- name: held_end
-- A settled run gives its slot back. Primary key of held.
DELETE FROM held WHERE batch = %(batch)s::bytea AND seq = %(seq)s::integer AND attempt = %(attempt)s::integer

-- name: held_new (postgres)
-- Settled runs keep their slots, and their refs, for a while.
INSERT INTO held (batch, seq, attempt, lane, workspace, ref, until)
SELECT new.batch, new.seq, new.attempt, new.lane, new.workspace, new.ref, new.until
FROM unnest(
    %(batch)s::bytea[], %(seq)s::integer[], %(attempt)s::integer[], %(lane)s::text[], %(workspace)s::text[],
    %(ref)s::text[], %(until)s::bigint[]
) AS new (batch, seq, attempt, lane, workspace, ref, until)

-- name: held_new (sqlite)
-- A settled run keeps its slot, and its ref, for a while.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
INSERT INTO held (batch, seq, attempt, lane, workspace, ref, until)
VALUES (:batch, :seq, :attempt, :lane, :workspace, :ref, :until)

-- name: live_count_of_worker
-- How many runs are in a worker's hands. Index live_worker.
SELECT count(*) FROM live WHERE worker = %(worker)s::text AND state = 1

-- name: live_of_worker (postgres)
-- Runs in a worker's hands, with what they are about. Index live_worker, primary key of items.
SELECT l.batch, l.seq, l.attempt, l.tries, l.returns, l.losses, l.started_at, l.dropped, i.ref
FROM live l
CROSS JOIN LATERAL (SELECT ref FROM items WHERE items.batch = l.batch AND items.seq = l.seq LIMIT 1) i
WHERE l.worker = %(worker)s::text AND l.state = 1
LIMIT %(limit)s::bigint

-- name: live_of_worker (sqlite)
-- Differs: looked up by LATERAL … LIMIT 1, which can become no hash join.
SELECT l.batch, l.seq, l.attempt, l.tries, l.returns, l.losses, l.started_at, l.dropped, i.ref
FROM live l JOIN items i ON i.batch = l.batch AND i.seq = l.seq
WHERE l.worker = :worker AND l.state = 1
LIMIT :limit

-- name: in_hand
-- The runs that are in a worker's hands. Index live_worker.
SELECT batch, seq, attempt FROM live WHERE worker = %(worker)s::text AND state = 1

-- name: live_advance (postgres)
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

-- name: live_advance (sqlite)
-- An active run says how far it is. Primary key of live.
-- Differs: all rows at once as arrays; SQLite runs it once a row; rows are locked; SQLite has one writer.
UPDATE live SET done = :done, whole = :whole
WHERE batch = :batch AND seq = :seq AND attempt = :attempt AND worker = :worker AND state = 1

-- name: to_drop
-- Runs in a worker's hands that are to be dropped. Indexes live_dropped and live_worker, primary key of batches.
SELECT batch, seq, attempt, 'aborted' AS reason FROM live
WHERE worker = %(worker)s::text AND dropped = 1 AND state = 1
UNION
SELECT l.batch, l.seq, l.attempt, CASE WHEN b.stop_reason = 'expire' THEN 'expired' ELSE 'aborted' END
FROM live l JOIN batches b ON b.id = l.batch
WHERE l.worker = %(worker)s::text AND l.state = 1 AND b.aborted_at IS NOT NULL

-- name: live_drop
-- An active run is to be dropped. Primary key of live.
UPDATE live SET dropped = 1 WHERE batch = %(batch)s::bytea AND seq = %(seq)s::integer AND state = 1

-- name: counts_move (postgres)
-- The hot rows of batches after a claim, a finish or a stop. Primary key of counts.
UPDATE counts SET cursor = new.cursor, deferred = new.deferred, active = new.active, succeeded = new.succeeded,
    failed = new.failed, canceled = new.canceled, succeeded_seconds = new.succeeded_seconds,
    last_succeeded_at = new.last_succeeded_at, last_ended_at = new.last_ended_at, next_start = new.next_start,
    next_at = new.next_at, served_at = new.served_at, streak = new.streak, streak_code = new.streak_code,
    stopped = new.stopped, spent = new.spent
FROM unnest(
    %(cursor)s::integer[], %(deferred)s::integer[], %(active)s::integer[], %(succeeded)s::integer[],
    %(failed)s::integer[], %(canceled)s::integer[], %(succeeded_seconds)s::double precision[],
    %(last_succeeded_at)s::bigint[], %(last_ended_at)s::bigint[], %(next_start)s::bigint[], %(next_at)s::bigint[],
    %(served_at)s::bigint[], %(streak)s::integer[], %(streak_code)s::text[], %(stopped)s::smallint[],
    %(spent)s::bigint[], %(batch)s::bytea[]
) AS new (cursor, deferred, active, succeeded, failed, canceled, succeeded_seconds, last_succeeded_at, last_ended_at,
    next_start, next_at, served_at, streak, streak_code, stopped, spent, batch)
WHERE counts.batch = new.batch

-- name: counts_move (sqlite)
-- A batch's hot row after a claim, a finish or a stop. Primary key of counts.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
UPDATE counts SET cursor = :cursor, deferred = :deferred, active = :active, succeeded = :succeeded, failed = :failed,
    canceled = :canceled, succeeded_seconds = :succeeded_seconds, last_succeeded_at = :last_succeeded_at,
    last_ended_at = :last_ended_at, next_start = :next_start, next_at = :next_at,
    served_at = :served_at, streak = :streak, streak_code = :streak_code, stopped = :stopped, spent = :spent
WHERE batch = :batch

-- name: counts_end (postgres)
-- A batch has ended and is due no more. Primary key of counts.
UPDATE counts SET open = 0, next_at = NULL WHERE batch = ANY(%(batch)s::bytea[])

-- name: counts_end (sqlite)
-- A batch has ended: it can start nothing any more. Primary key of counts.
-- Differs: open batches have an index of their own, by the column open.
UPDATE counts SET next_at = NULL WHERE batch = :batch

-- name: outcome_add (postgres)
-- More items of batches ended with a code.
INSERT INTO outcomes (batch, code, n)
SELECT new.batch, new.code, new.n
FROM unnest(%(batch)s::bytea[], %(code)s::text[], %(n)s::integer[]) AS new (batch, code, n)
ON CONFLICT (batch, code) DO UPDATE SET n = outcomes.n + excluded.n

-- name: outcome_add (sqlite)
-- More items of a batch ended with a code.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
INSERT INTO outcomes (batch, code, n) VALUES (:batch, :code, :n)
ON CONFLICT (batch, code) DO UPDATE SET n = n + excluded.n

-- name: outcome_take (postgres)
-- Items of batches that had ended with a code turned out otherwise: `n` is negative. Primary key of outcomes.
UPDATE outcomes SET n = outcomes.n + new.n
FROM unnest(%(n)s::integer[], %(batch)s::bytea[], %(code)s::text[]) AS new (n, batch, code)
WHERE outcomes.batch = new.batch AND outcomes.code = new.code

-- name: outcome_take (sqlite)
-- Items of a batch that had ended with a code turned out otherwise: `n` is negative. Primary key of outcomes.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
UPDATE outcomes SET n = n + :n WHERE batch = :batch AND code = :code

-- name: batch_complete (postgres)
-- The last items of batches ended: from now on they are kept for as long as was asked. Primary key of batches.
UPDATE batches SET completed_at = done.at, deletes_at = coalesce(deletes_at, done.at + keep_for)
FROM unnest(%(now)s::bigint[], %(batch)s::bytea[]) AS done (at, batch)
WHERE batches.id = done.batch

-- name: batch_complete (sqlite)
-- The last item of a batch ended: from now on it is kept for as long as it was asked. Primary key of batches.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
UPDATE batches SET completed_at = :now, deletes_at = coalesce(deletes_at, :now + keep_for) WHERE id = :batch

-- name: batch_hot (postgres)
-- The facts and counts of batches as claim and finish need them. `listeners`: an endpoint wants
-- to hear of it (1), or of its items too (2). Primary keys of batches and counts, index endpoints_workspace.
SELECT b.id, b.workspace, b.kind, b.lane, b.max_tries, b.repeatable, b.exclusive, b.self_pausing, b.hours, b.start_at, b.started_at,
    b.paused_at, b.stopped_at, b.stop_reason, b.aborted_at, b.completed_at, b.expires_at, b.erased_at, b.prices,
    b.actor,
    c.total, c.cursor, c.deferred, c.active, c.succeeded, c.failed, c.canceled, c.succeeded_seconds,
    c.last_succeeded_at, c.last_ended_at, c.cap, c.pace, c.next_start, c.next_at, c.served_at, c.streak, c.streak_code,
    c.stopped, c.spent, c.max_cost, c.run_cost, (
        SELECT max(1 + e.items) FROM endpoints e
        WHERE e.workspace = b.workspace AND e.batch = ANY(ARRAY[b.id, ''::bytea]) AND e.off_at IS NULL
        AND e.erased_at IS NULL
    ) AS listeners
FROM unnest(%(batch)s::bytea[]) AS asked (batch)
CROSS JOIN LATERAL (SELECT * FROM batches WHERE batches.id = asked.batch LIMIT 1) b
CROSS JOIN LATERAL (SELECT * FROM counts WHERE counts.batch = asked.batch LIMIT 1) c

-- name: batch_hot (sqlite)
-- A batch's facts and counts as claim and finish need them. `listeners`: an endpoint wants
-- to hear of it (1), or of its items too (2). Primary keys of batches and counts, index endpoints_workspace.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
SELECT b.id, b.workspace, b.kind, b.lane, b.max_tries, b.repeatable, b.exclusive, b.self_pausing, b.hours, b.start_at, b.started_at,
    b.paused_at, b.stopped_at, b.stop_reason, b.aborted_at, b.completed_at, b.expires_at, b.erased_at, b.prices,
    b.actor,
    c.total, c.cursor, c.deferred, c.active, c.succeeded, c.failed, c.canceled, c.succeeded_seconds,
    c.last_succeeded_at, c.last_ended_at, c.cap, c.pace, c.next_start, c.next_at, c.served_at, c.streak, c.streak_code,
    c.stopped, c.spent, c.max_cost, c.run_cost, (
        SELECT max(1 + e.items) FROM endpoints e
        WHERE e.workspace = b.workspace AND e.batch IN (b.id, x'') AND e.off_at IS NULL AND e.erased_at IS NULL
    ) AS listeners
FROM batches b JOIN counts c ON c.batch = b.id
WHERE b.id = :batch
