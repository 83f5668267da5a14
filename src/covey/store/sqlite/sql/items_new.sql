-- Items of a draft.
INSERT INTO items (batch, seq, custom_id, ref, zone, input) VALUES (:batch, :seq, :custom_id, :ref, :zone, :input)
