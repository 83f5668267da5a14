-- A new workspace; nothing if its id is taken.
INSERT INTO workspaces (id, name, created_at, weight, settings)
VALUES (%(id)s::text, %(name)s::text, %(created_at)s::bigint, %(weight)s::double precision, %(settings)s::json)
ON CONFLICT (id) DO NOTHING
