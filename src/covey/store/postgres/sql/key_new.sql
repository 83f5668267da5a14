-- A new API key.
INSERT INTO keys (id, workspace, role, name, prefix, digest, created_at, expires_at)
VALUES (%(id)s::text, %(workspace)s::text, %(role)s::text, %(name)s::text, %(prefix)s::text, %(digest)s::bytea,
    %(created_at)s::bigint, %(expires_at)s::bigint)
