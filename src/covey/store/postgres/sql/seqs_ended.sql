-- A page of the items that ended in a state. Index runs_last: compared as rows, as an order by seq alone could come from
-- the primary key too, which reads all the other states on its way.
SELECT seq FROM runs
WHERE last = 1 AND (batch, state, seq) > (%(batch)s::bytea, %(state)s::text, %(after)s::integer)
    AND (batch, state) <= (%(batch)s::bytea, %(state)s::text)
ORDER BY batch, state, seq LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint
