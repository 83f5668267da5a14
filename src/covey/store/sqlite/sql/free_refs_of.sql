-- The ref of an item that is active no more is free again. Primary keys of items, batches and busy_refs.
DELETE FROM busy_refs WHERE (workspace, ref) IN (
    SELECT b.workspace, i.ref FROM items i JOIN batches b ON b.id = i.batch WHERE i.batch = ?1 AND i.seq = ?2
) AND batch = ?1 AND seq = ?2
