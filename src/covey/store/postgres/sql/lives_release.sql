-- Give a life's lock back.
SELECT pg_advisory_unlock(%(class)s::integer, %(key)s::integer)
