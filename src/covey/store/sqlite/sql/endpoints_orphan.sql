-- The endpoints of a batch that goes are to be looked at. Primary key of batches, index endpoints_workspace.
UPDATE endpoints SET sweep_at = :now
WHERE workspace = (SELECT workspace FROM batches WHERE id = :batch) AND batch = :batch
