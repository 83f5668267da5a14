-- A ref is free again. Primary key of busy_refs.
DELETE FROM busy_refs WHERE workspace = :workspace AND ref = :ref AND batch = :batch AND seq = :seq
