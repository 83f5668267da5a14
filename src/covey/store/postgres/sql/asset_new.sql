-- A new asset.
INSERT INTO assets (workspace, id, name, folded, kind, method, state, owner, created_at, size, seconds, source, facts,
    error, notes)
VALUES (%(workspace)s::text, %(id)s::text, %(name)s::text, %(folded)s::text, %(kind)s::text, %(method)s::text,
    %(state)s::text, %(owner)s::text, %(created_at)s::bigint, %(size)s::bigint, %(seconds)s::double precision,
    %(source)s::text, %(facts)s::json, %(error)s::text, %(notes)s::json)
