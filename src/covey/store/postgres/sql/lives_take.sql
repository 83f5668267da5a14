-- Take a life's lock and keep it for as long as this session lives.
SELECT pg_advisory_lock(%(class)s::integer, %(key)s::integer)
