-- name: agent_delete
-- Remove an agent; batches keep the copy they froze. Primary key of agents.
DELETE FROM agents WHERE workspace = %(workspace)s::text AND id = %(id)s::text

-- name: agent_put
-- An agent, new or changed.
INSERT INTO agents (id, workspace, body, created_at, updated_at)
VALUES (%(id)s::text, %(workspace)s::text, %(body)s::json, %(created_at)s::bigint, %(updated_at)s::bigint)
ON CONFLICT (workspace, id) DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at

-- name: agent_read
-- One agent. Primary key of agents.
SELECT * FROM agents WHERE workspace = %(workspace)s::text AND id = %(id)s::text

-- name: agents
-- A workspace's agents. Primary key of agents.
SELECT * FROM agents WHERE workspace = %(workspace)s::text ORDER BY created_at, id

-- name: key_by_digest
-- The key of a secret. Unique index on digest.
SELECT * FROM keys WHERE digest = %(digest)s::bytea

-- name: key_new
-- A new API key.
INSERT INTO keys (id, workspace, role, name, prefix, digest, created_at, expires_at)
VALUES (%(id)s::text, %(workspace)s::text, %(role)s::text, %(name)s::text, %(prefix)s::text, %(digest)s::bytea,
    %(created_at)s::bigint, %(expires_at)s::bigint)

-- name: key_revoke
-- A key holds no more. Primary key of keys.
UPDATE keys SET revoked_at = %(now)s::bigint WHERE id = %(id)s::text AND revoked_at IS NULL

-- name: key_touch (postgres)
-- Keys were used. Primary key of keys. In the order of the keys, so that two processes never wait for each other.
WITH used AS MATERIALIZED (
    SELECT keys.id, used.at
    FROM unnest(%(at)s::bigint[], %(id)s::text[]) AS used (at, id) JOIN keys ON keys.id = used.id
    ORDER BY keys.id
    FOR NO KEY UPDATE OF keys
)
UPDATE keys SET last_used_at = greatest(coalesce(keys.last_used_at, 0), used.at) FROM used WHERE keys.id = used.id

-- name: key_touch (sqlite)
-- A key was used. Primary key of keys.
-- Differs: all rows at once as arrays; SQLite runs it once a row; rows are locked; SQLite has one writer; max of two is greatest, <> ALL is NOT IN.
UPDATE keys SET last_used_at = max(coalesce(last_used_at, 0), :at) WHERE id = :id

-- name: keys
-- The keys of a workspace, or all.
SELECT * FROM keys WHERE %(workspace)s::text IS NULL OR workspace = %(workspace)s::text ORDER BY created_at, id

-- name: workspace_change
-- A workspace's name, weight and settings. Primary key of workspaces.
UPDATE workspaces SET name = %(name)s::text, weight = %(weight)s::double precision, settings = %(settings)s::json
WHERE id = %(id)s::text

-- name: workspace_new
-- A new workspace; nothing if its id is taken.
INSERT INTO workspaces (id, name, created_at, weight, settings)
VALUES (%(id)s::text, %(name)s::text, %(created_at)s::bigint, %(weight)s::double precision, %(settings)s::json)
ON CONFLICT (id) DO NOTHING

-- name: workspace_read
-- One workspace. Primary key of workspaces.
SELECT * FROM workspaces WHERE id = %(id)s::text

-- name: workspaces
-- All workspaces.
SELECT * FROM workspaces ORDER BY created_at, id
