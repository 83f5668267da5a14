-- Remove the endpoints of a batch that goes. Primary key of batches, index endpoints_workspace.
DELETE FROM endpoints WHERE workspace = (SELECT workspace FROM batches WHERE id = :batch) AND batch = :batch
