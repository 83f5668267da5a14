-- A workspace never wants a ref touched again; nothing if it said so before.
INSERT INTO blocked (workspace, ref, reason, created_at) VALUES (:workspace, :ref, :reason, :now)
ON CONFLICT (workspace, ref) DO NOTHING
