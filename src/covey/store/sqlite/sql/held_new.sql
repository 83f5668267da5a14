-- A settled run keeps its slot, and its ref, for a while.
INSERT INTO held (batch, seq, attempt, lane, workspace, ref, until)
VALUES (:batch, :seq, :attempt, :lane, :workspace, :ref, :until)
