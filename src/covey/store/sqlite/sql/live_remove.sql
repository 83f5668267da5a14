-- Remove a piece of a batch's deferred rows. Primary key of live.
DELETE FROM live WHERE rowid IN (SELECT rowid FROM live WHERE batch = :batch AND state = 0 ORDER BY seq LIMIT :limit)
