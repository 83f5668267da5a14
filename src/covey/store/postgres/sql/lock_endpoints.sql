-- Nobody else changes these endpoints until this transaction ends. In one order for all. Primary key of endpoints.
SELECT id FROM endpoints WHERE id = ANY(%(endpoints)s::text[]) ORDER BY id FOR NO KEY UPDATE
