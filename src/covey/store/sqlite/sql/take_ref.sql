-- Mark a ref as active; its primary key refuses a second one.
INSERT INTO busy_refs (workspace, ref, batch, seq) VALUES (?, ?, ?, ?)
