-- A run that was written down already. Primary key of runs.
SELECT batch, seq, attempt, code, worker FROM runs WHERE batch = :batch AND seq = :seq AND attempt = :attempt AND last = 1
