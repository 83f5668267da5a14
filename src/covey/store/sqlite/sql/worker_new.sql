-- A worker's life begins.
INSERT INTO workers (id, started_at) VALUES (:worker, :now)
