-- The server process behind this connection.
SELECT pg_backend_pid()
