-- Remove what is left of a batch without items. Primary keys.
DELETE FROM counts WHERE batch = %(batch)s::bytea
