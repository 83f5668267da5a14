-- An active run is to be dropped. Primary key of live.
UPDATE live SET dropped = 1 WHERE batch = :batch AND seq = :seq AND state = 1
