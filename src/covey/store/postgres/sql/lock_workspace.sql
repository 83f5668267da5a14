-- Nobody else accepts a batch, or makes an endpoint, of this workspace until this transaction ends. Primary key of workspaces.
SELECT id FROM workspaces WHERE id = %(workspace)s::text FOR NO KEY UPDATE
