-- A workspace never wants these refs touched again; nothing for those of which it said so before.
INSERT INTO blocked (workspace, ref, reason, created_at)
SELECT :workspace, value, :reason, :now FROM json_each(:refs) WHERE true
ON CONFLICT (workspace, ref) DO NOTHING
