-- A worker's life ends, once. Primary key of workers.
UPDATE workers SET dead_at = :now WHERE id = :worker AND dead_at IS NULL
