-- A workspace's name, weight and settings. Primary key of workspaces.
UPDATE workspaces SET name = :name, weight = :weight, settings = :settings WHERE id = :id
