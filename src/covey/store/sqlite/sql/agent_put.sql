-- An agent, new or changed.
INSERT INTO agents (id, workspace, body, created_at, updated_at) VALUES (:id, :workspace, :body, :created_at, :updated_at)
ON CONFLICT (workspace, id) DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at
