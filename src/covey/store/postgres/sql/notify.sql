-- Tell every process that listens, once this transaction is committed.
SELECT pg_notify('covey', %(payload)s::text)
