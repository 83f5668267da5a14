-- A settled run gives its slot back. Primary key of held.
DELETE FROM held WHERE batch = :batch AND seq = :seq AND attempt = :attempt
