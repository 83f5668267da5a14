-- A new API key.
INSERT INTO keys (id, workspace, role, name, prefix, digest, created_at, expires_at)
VALUES (:id, :workspace, :role, :name, :prefix, :digest, :created_at, :expires_at)
