-- Items are live no more. Primary key of live.
DELETE FROM live USING unnest(%(batch)s::bytea[], %(seq)s::integer[]) AS gone (batch, seq)
WHERE live.batch = gone.batch AND live.seq = gone.seq
