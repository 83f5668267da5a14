-- A workspace's share of a lane, with the workspace's weight.
INSERT INTO shares (lane, workspace, weight)
SELECT %(lane)s::text, %(workspace)s::text,
    coalesce((SELECT weight FROM workspaces WHERE id = %(workspace)s::text), 1.0)
ON CONFLICT (lane, workspace) DO UPDATE SET weight = excluded.weight
