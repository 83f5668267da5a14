-- An item leaves the cursor: active, or deferred.
INSERT INTO live (batch, seq, attempt, tries, returns, losses, state, due_at, worker, started_at, reason)
VALUES (?, ?, ?, 0, 0, 0, ?, ?, ?, ?, ?)
