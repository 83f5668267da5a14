-- A batch gets other limits of its own. Primary key of counts.
UPDATE counts SET cap = :cap, pace = :pace WHERE batch = :batch
