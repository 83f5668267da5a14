-- An active run says how far it is. Primary key of live.
UPDATE live SET done = :done, whole = :whole
WHERE batch = :batch AND seq = :seq AND attempt = :attempt AND worker = :worker AND state = 1
