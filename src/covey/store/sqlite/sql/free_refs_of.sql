-- The ref of an item that is active no more is free again. Primary keys of items, batches and busy_refs.
DELETE FROM busy_refs WHERE (workspace, ref) IN (
    SELECT b.workspace, i.ref FROM items i JOIN batches b ON b.id = i.batch WHERE i.batch = :batch AND i.seq = :seq
) AND batch = :batch AND seq = :seq
