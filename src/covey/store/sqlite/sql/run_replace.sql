-- The truth about a run takes the place of the guess. Primary key of runs.
UPDATE runs SET state = :state, code = :code, message = :message, seconds = :seconds, charged = :charged,
    tokens_in = :tokens_in, tokens_out = :tokens_out, cost = :cost, started_at = :started_at, ended_at = :ended_at, result = :result
WHERE batch = :batch AND seq = :seq AND attempt = :attempt
