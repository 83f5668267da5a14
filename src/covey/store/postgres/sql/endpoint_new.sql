-- An endpoint, unless there is one of this id. Primary key of endpoints.
INSERT INTO endpoints (id, workspace, url, style, description, events, items, kind, batch, singles, secrets, created_at,
    off_at, off_reason, sweep_at)
VALUES (%(endpoint)s::text, %(workspace)s::text, %(url)s::text, %(style)s::text, %(description)s::text,
    %(events)s::text, %(items)s::smallint, %(kind)s::text, %(batch)s::bytea, %(singles)s::smallint, %(secrets)s::json,
    %(created_at)s::bigint, %(off_at)s::bigint, %(off_reason)s::text, %(sweep_at)s::bigint)
ON CONFLICT (id) DO NOTHING
