-- What happened to a batch. Index events_batch.
SELECT id, batch, at, type, actor, data FROM events WHERE batch = %(batch)s::bytea ORDER BY id
