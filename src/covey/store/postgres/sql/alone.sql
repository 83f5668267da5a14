-- Whether no other transaction holds this key; it is held until this transaction ends.
SELECT pg_try_advisory_xact_lock(%(key)s::bigint)
