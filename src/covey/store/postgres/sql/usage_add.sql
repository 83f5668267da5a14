-- More of batches succeeded on a day. Primary key of usage.
INSERT INTO usage (workspace, day, batch, key, kind, items, micros, tokens_in, tokens_out, cost)
SELECT new.workspace, new.day, new.batch, new.key, new.kind, new.items, new.micros, new.tokens_in, new.tokens_out,
    new.cost
FROM unnest(
    %(workspace)s::text[], %(day)s::integer[], %(batch)s::bytea[], %(key)s::text[], %(kind)s::text[],
    %(items)s::bigint[], %(micros)s::bigint[], %(tokens_in)s::bigint[], %(tokens_out)s::bigint[], %(cost)s::bigint[]
) AS new (workspace, day, batch, key, kind, items, micros, tokens_in, tokens_out, cost)
ON CONFLICT (workspace, day, batch) DO UPDATE SET items = usage.items + excluded.items,
    micros = usage.micros + excluded.micros, tokens_in = usage.tokens_in + excluded.tokens_in,
    tokens_out = usage.tokens_out + excluded.tokens_out, cost = usage.cost + excluded.cost
