-- The slot that a settled run keeps. Primary key of held.
SELECT * FROM held WHERE batch = %(batch)s::bytea AND seq = %(seq)s::integer AND attempt = %(attempt)s::integer
