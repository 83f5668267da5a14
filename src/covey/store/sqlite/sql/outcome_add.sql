-- More items of a batch ended with a code.
INSERT INTO outcomes (batch, code, n) VALUES (:batch, :code, :n)
ON CONFLICT (batch, code) DO UPDATE SET n = n + excluded.n
