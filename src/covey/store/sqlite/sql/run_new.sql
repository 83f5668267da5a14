-- A run has ended.
INSERT INTO runs (batch, seq, attempt, last, state, code, message, worker, tries, started_at, ended_at, seconds,
    charged, tokens_in, tokens_out, cost, result)
VALUES (:batch, :seq, :attempt, :last, :state, :code, :message, :worker, :tries, :started_at, :ended_at, :seconds,
    :charged, :tokens_in, :tokens_out, :cost, :result)
