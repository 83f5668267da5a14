-- Items wait for a later start. Primary key of live.
UPDATE live SET state = 0, worker = NULL, started_at = NULL, dropped = 0, done = NULL, whole = NULL, tries = new.tries, returns = new.returns,
    losses = new.losses, due_at = new.due_at, reason = new.reason,
    returned_at = coalesce(new.returned_at, live.returned_at)
FROM unnest(
    %(tries)s::integer[], %(returns)s::integer[], %(losses)s::integer[], %(due_at)s::bigint[], %(reason)s::text[],
    %(returned_at)s::bigint[], %(batch)s::bytea[], %(seq)s::integer[]
) AS new (tries, returns, losses, due_at, reason, returned_at, batch, seq)
WHERE live.batch = new.batch AND live.seq = new.seq
