-- What was found out about an asset. Primary key of assets.
UPDATE assets SET state = %(state)s::text, size = %(size)s::bigint, seconds = %(seconds)s::double precision,
    kind = %(kind)s::text, facts = %(facts)s::json, error = %(error)s::text
WHERE workspace = %(workspace)s::text AND id = %(id)s::text
