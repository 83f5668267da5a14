-- The items from the cursor on. Primary key of items.
SELECT seq, NULL, 0, 0, 0, custom_id, ref, zone, input FROM items
WHERE batch = :batch AND seq >= :cursor AND seq < :cursor + :limit
ORDER BY seq
