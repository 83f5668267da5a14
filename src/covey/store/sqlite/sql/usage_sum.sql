-- What a workspace used in a span of days, summed over what is not asked to be apart. Primary key of usage.
SELECT kind, iif(:by_day, day, NULL) AS on_day, iif(:by_batch, batch, NULL) AS of_batch,
    iif(:by_key, key, NULL) AS by_whom, sum(items) AS items, sum(micros) AS micros, sum(tokens_in) AS tokens_in,
    sum(tokens_out) AS tokens_out, sum(cost) AS cost
FROM usage WHERE workspace = :workspace AND day BETWEEN :since AND :until
GROUP BY 1, 2, 3, 4 ORDER BY 2, 3, 4, 1
