-- A batch gets another name. Primary key of batches.
UPDATE batches SET name = %(name)s::text WHERE id = %(batch)s::bytea
