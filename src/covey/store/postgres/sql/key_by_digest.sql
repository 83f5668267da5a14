-- The key of a secret. Unique index on digest.
SELECT * FROM keys WHERE digest = %(digest)s::bytea
