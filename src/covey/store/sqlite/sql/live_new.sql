-- An item leaves the cursor: active, or deferred.
INSERT INTO live (batch, seq, state, attempt, due_at, worker, started_at, reason, tries, returns, losses)
VALUES (:batch, :seq, :state, :attempt, :due_at, :worker, :started_at, :reason, 0, 0, 0)
