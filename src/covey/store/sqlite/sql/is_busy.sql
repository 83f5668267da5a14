-- Whether an item about this ref is active in the workspace. Primary key of busy_refs.
SELECT 1 FROM busy_refs WHERE workspace = :workspace AND ref = :ref
