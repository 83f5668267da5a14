-- A batch's frozen configuration. Primary key of batches.
SELECT config FROM batches WHERE id = %(batch)s::bytea
