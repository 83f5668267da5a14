-- What a workspace used in a span of days, summed over what is not asked to be apart. Primary key of usage.
SELECT kind, CASE WHEN %(by_day)s::smallint = 1 THEN day END AS on_day,
    CASE WHEN %(by_batch)s::smallint = 1 THEN batch END AS of_batch,
    CASE WHEN %(by_key)s::smallint = 1 THEN key END AS by_whom,
    sum(items)::bigint AS items, sum(micros)::bigint AS micros, sum(tokens_in)::bigint AS tokens_in,
    sum(tokens_out)::bigint AS tokens_out, sum(cost)::bigint AS cost
FROM usage WHERE workspace = %(workspace)s::text AND day BETWEEN %(since)s::integer AND %(until)s::integer
GROUP BY 1, 2, 3, 4 ORDER BY 2 NULLS FIRST, 3 NULLS FIRST, 4 NULLS FIRST, 1
