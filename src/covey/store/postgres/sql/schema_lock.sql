-- Become the process that migrates, for as long as this session lasts. Asked again and again and never waited for: a
-- session that waits in a statement holds a snapshot, which an index built concurrently would wait for.
SELECT pg_try_advisory_lock(hashtextextended('covey migrations', 0)) AS got
