-- name: usage_add (postgres)
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

-- name: usage_add (sqlite)
-- More of a batch succeeded on a day. Primary key of usage.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
INSERT INTO usage (workspace, day, batch, key, kind, items, micros, tokens_in, tokens_out, cost)
VALUES (:workspace, :day, :batch, :key, :kind, :items, :micros, :tokens_in, :tokens_out, :cost)
ON CONFLICT (workspace, day, batch) DO UPDATE SET items = items + excluded.items, micros = micros + excluded.micros,
    tokens_in = tokens_in + excluded.tokens_in, tokens_out = tokens_out + excluded.tokens_out,
    cost = cost + excluded.cost

-- name: usage_sum
-- What a workspace used in a span of days, summed over what is not asked to be apart. Primary key of usage.
SELECT kind, CASE WHEN %(by_day)s::smallint = 1 THEN day END AS on_day,
    CASE WHEN %(by_batch)s::smallint = 1 THEN batch END AS of_batch,
    CASE WHEN %(by_key)s::smallint = 1 THEN key END AS by_whom,
    sum(items)::bigint AS items, sum(micros)::bigint AS micros, sum(tokens_in)::bigint AS tokens_in,
    sum(tokens_out)::bigint AS tokens_out, sum(cost)::bigint AS cost
FROM usage WHERE workspace = %(workspace)s::text AND day BETWEEN %(since)s::integer AND %(until)s::integer
GROUP BY 1, 2, 3, 4 ORDER BY 2 NULLS FIRST, 3 NULLS FIRST, 4 NULLS FIRST, 1
