-- An idempotent request begins.
INSERT INTO idempotency (workspace, key, route, digest, owner, created, created_at)
VALUES (:workspace, :key, :route, :digest, :owner, :created, :now)
