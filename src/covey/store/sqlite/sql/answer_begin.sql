-- An idempotent request begins; nothing if it has begun before.
INSERT INTO idempotency (workspace, key, route, digest, owner, created, created_at)
VALUES (:workspace, :key, :route, :digest, :owner, :created, :now)
ON CONFLICT (workspace, key) DO NOTHING
