-- A settled run gives its slot back. Primary key of held.
DELETE FROM held WHERE batch = %(batch)s::bytea AND seq = %(seq)s::integer AND attempt = %(attempt)s::integer
