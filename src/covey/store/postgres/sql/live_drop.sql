-- An active run is to be dropped. Primary key of live.
UPDATE live SET dropped = 1 WHERE batch = %(batch)s::bytea AND seq = %(seq)s::integer AND state = 1
