-- The slot that a settled run keeps. Primary key of held.
SELECT * FROM held WHERE batch = :batch AND seq = :seq AND attempt = :attempt
