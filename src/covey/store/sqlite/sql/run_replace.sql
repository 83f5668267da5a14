-- The truth about a run takes the place of the guess. Primary key of runs.
UPDATE runs SET state = :state, code = :code, message = :message, seconds = :seconds, started_at = :started_at,
    ended_at = :ended_at, result = :result
WHERE batch = :batch AND seq = :seq AND attempt = :attempt
