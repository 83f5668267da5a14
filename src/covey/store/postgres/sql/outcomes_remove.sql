-- Remove a batch's counts by code. Primary key of outcomes.
DELETE FROM outcomes WHERE batch = %(batch)s::bytea
