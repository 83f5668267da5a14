-- Remove a piece of a batch's runs. Primary key of runs.
DELETE FROM runs WHERE rowid IN (SELECT rowid FROM runs WHERE batch = :batch LIMIT :limit)
