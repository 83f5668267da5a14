-- A ref is free again. Primary key of busy_refs.
DELETE FROM busy_refs WHERE workspace = ? AND ref = ? AND batch = ? AND seq = ?
