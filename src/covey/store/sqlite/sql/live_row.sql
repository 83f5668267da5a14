-- The fence: what the store knows of an item that may be in a worker's hands. Primary key of live.
SELECT batch, seq, attempt, tries, returns, losses, state, worker, started_at, returned_at, dropped FROM live WHERE batch = :batch AND seq = :seq
