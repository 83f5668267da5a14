-- A page of the deferred items. Primary key of live.
SELECT seq FROM live WHERE batch = :batch AND state = 0 AND seq > :after ORDER BY seq LIMIT :limit OFFSET :offset
