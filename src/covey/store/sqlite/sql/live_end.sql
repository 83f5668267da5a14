-- An item is live no more. Primary key of live.
DELETE FROM live WHERE batch = :batch AND seq = :seq
