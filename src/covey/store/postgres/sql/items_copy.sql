-- Items of a draft, as many as there are.
COPY items (batch, seq, custom_id, ref, zone, input) FROM STDIN
