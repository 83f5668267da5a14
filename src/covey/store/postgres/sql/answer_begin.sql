-- An idempotent request begins; nothing if it has begun already.
INSERT INTO idempotency (workspace, key, route, digest, owner, created, created_at)
VALUES (%(workspace)s::text, %(key)s::text, %(route)s::text, %(digest)s::bytea, %(owner)s::text, %(created)s::text,
    %(now)s::bigint)
ON CONFLICT (workspace, key) DO NOTHING
