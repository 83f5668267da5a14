-- A new workspace; nothing if its id is taken.
INSERT INTO workspaces (id, name, created_at, weight, settings) VALUES (:id, :name, :created_at, :weight, :settings)
ON CONFLICT (id) DO NOTHING
