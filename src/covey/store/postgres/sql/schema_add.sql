-- Note a migration as applied; in the transaction that applies it.
INSERT INTO covey_schema (number, name, stage) VALUES (%(number)s::integer, %(name)s::text, %(stage)s::text)
