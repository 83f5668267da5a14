-- Queue before a lane: one at a time is behind its gate, until this transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended(%(lane)s::text, 0))
