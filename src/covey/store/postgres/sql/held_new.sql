-- Settled runs keep their slots, and their refs, for a while.
INSERT INTO held (batch, seq, attempt, lane, workspace, ref, until)
SELECT new.batch, new.seq, new.attempt, new.lane, new.workspace, new.ref, new.until
FROM unnest(
    %(batch)s::bytea[], %(seq)s::integer[], %(attempt)s::integer[], %(lane)s::text[], %(workspace)s::text[],
    %(ref)s::text[], %(until)s::bigint[]
) AS new (batch, seq, attempt, lane, workspace, ref, until)
