-- A batch gets other limits of its own. Primary key of counts.
UPDATE counts SET cap = %(cap)s::integer, pace = %(pace)s::double precision WHERE batch = %(batch)s::bytea
