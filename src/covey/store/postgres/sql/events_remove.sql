-- Remove a batch's history. Index events_batch.
DELETE FROM events WHERE batch = %(batch)s::bytea
