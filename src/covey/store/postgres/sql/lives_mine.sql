-- Whether the server process behind this connection holds a life's lock.
SELECT pg_backend_pid(), EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid = %(class)s::integer::oid AND objid = %(key)s::integer::oid AND objsubid = 2
)
