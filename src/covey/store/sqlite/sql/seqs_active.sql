-- A page of the active items. Primary key of live.
SELECT seq FROM live WHERE batch = :batch AND state = 1 AND seq > :after ORDER BY seq LIMIT :limit OFFSET :offset
