-- An agent, new or changed.
INSERT INTO agents (id, workspace, body, created_at, updated_at)
VALUES (%(id)s::text, %(workspace)s::text, %(body)s::json, %(created_at)s::bigint, %(updated_at)s::bigint)
ON CONFLICT (workspace, id) DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at
