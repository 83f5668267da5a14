-- Something happened to a batch.
INSERT INTO events (workspace, batch, at, type, actor, data) VALUES (:workspace, :batch, :at, :type, :actor, :data)
