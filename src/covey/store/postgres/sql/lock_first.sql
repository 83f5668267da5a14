-- Of all that find a database empty, one at a time makes its first workspace.
SELECT pg_advisory_xact_lock(hashtextextended('covey first workspace', 0))
