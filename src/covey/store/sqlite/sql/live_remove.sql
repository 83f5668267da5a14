-- Remove a piece of what a stopped batch left deferred. Primary key of live.
DELETE FROM live WHERE rowid IN (SELECT rowid FROM live WHERE batch = :batch AND state = 0 LIMIT :limit)
