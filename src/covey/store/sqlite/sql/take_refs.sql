-- Mark refs as active, those that are not; which were marked. Primary key of busy_refs.
INSERT INTO busy_refs (workspace, ref, batch, seq)
SELECT :workspace, ref.value, :batch, seq.value FROM json_each(:refs) ref JOIN json_each(:seqs) seq ON seq.key = ref.key
WHERE true
ON CONFLICT (workspace, ref) DO NOTHING
RETURNING ref
