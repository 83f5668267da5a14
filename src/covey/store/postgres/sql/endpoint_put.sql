-- An endpoint, new or changed. One that is switched on again has never failed. Primary key of endpoints.
INSERT INTO endpoints (id, workspace, url, style, description, events, items, kind, batch, singles, secrets, created_at,
    off_at, off_reason, sweep_at)
VALUES (%(endpoint)s::text, %(workspace)s::text, %(url)s::text, %(style)s::text, %(description)s::text,
    %(events)s::text, %(items)s::smallint, %(kind)s::text, %(batch)s::bytea, %(singles)s::smallint, %(secrets)s::json,
    %(created_at)s::bigint, %(off_at)s::bigint, %(off_reason)s::text, %(sweep_at)s::bigint)
ON CONFLICT (id) DO UPDATE SET url = excluded.url, style = excluded.style, description = excluded.description,
    events = excluded.events, items = excluded.items, kind = excluded.kind, batch = excluded.batch,
    singles = excluded.singles, secrets = excluded.secrets, off_at = excluded.off_at, off_reason = excluded.off_reason,
    sweep_at = excluded.sweep_at,
    failing_since = CASE WHEN endpoints.off_at IS NULL OR excluded.off_at IS NOT NULL THEN endpoints.failing_since END
WHERE endpoints.workspace = excluded.workspace AND endpoints.erased_at IS NULL
