-- More items of batches ended with a code.
INSERT INTO outcomes (batch, code, n)
SELECT new.batch, new.code, new.n
FROM unnest(%(batch)s::bytea[], %(code)s::text[], %(n)s::integer[]) AS new (batch, code, n)
ON CONFLICT (batch, code) DO UPDATE SET n = outcomes.n + excluded.n
