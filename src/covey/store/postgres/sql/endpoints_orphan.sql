-- The endpoints of a batch that goes are to be looked at. Primary key of batches, index endpoints_workspace.
UPDATE endpoints SET sweep_at = %(now)s::bigint
WHERE workspace = (SELECT workspace FROM batches WHERE id = %(batch)s::bytea) AND batch = %(batch)s::bytea
