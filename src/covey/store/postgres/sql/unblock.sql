-- A ref may be touched again. Primary key of blocked.
DELETE FROM blocked WHERE workspace = %(workspace)s::text AND ref = %(ref)s::text
