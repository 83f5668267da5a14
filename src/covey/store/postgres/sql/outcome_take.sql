-- Items of batches that had ended with a code turned out otherwise: `n` is negative. Primary key of outcomes.
UPDATE outcomes SET n = outcomes.n + new.n
FROM unnest(%(n)s::integer[], %(batch)s::bytea[], %(code)s::text[]) AS new (n, batch, code)
WHERE outcomes.batch = new.batch AND outcomes.code = new.code
