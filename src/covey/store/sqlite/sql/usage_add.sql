-- More of a batch succeeded on a day. Primary key of usage.
INSERT INTO usage (workspace, day, batch, key, kind, items, micros, tokens_in, tokens_out, cost)
VALUES (:workspace, :day, :batch, :key, :kind, :items, :micros, :tokens_in, :tokens_out, :cost)
ON CONFLICT (workspace, day, batch) DO UPDATE SET items = items + excluded.items, micros = micros + excluded.micros,
    tokens_in = tokens_in + excluded.tokens_in, tokens_out = tokens_out + excluded.tokens_out,
    cost = cost + excluded.cost
