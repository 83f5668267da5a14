-- A workspace's share of a lane, with the workspace's weight.
INSERT INTO shares (lane, workspace, weight)
SELECT :lane, :workspace, coalesce((SELECT weight FROM workspaces WHERE id = :workspace), 1.0)
WHERE true
ON CONFLICT (lane, workspace) DO UPDATE SET weight = excluded.weight
