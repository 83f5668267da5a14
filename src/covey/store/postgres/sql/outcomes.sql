-- How many items of a batch ended with which code. Primary key of outcomes.
SELECT code, n FROM outcomes WHERE batch = %(batch)s::bytea AND n > 0 ORDER BY n DESC, code
