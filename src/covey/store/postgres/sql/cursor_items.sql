-- The items from the cursor on. Primary key of items.
SELECT seq, NULL::integer AS attempt, 0 AS tries, 0 AS returns, 0 AS losses, custom_id, ref, zone, input FROM items
WHERE batch = %(batch)s::bytea AND seq >= %(cursor)s::integer AND seq < %(cursor)s::integer + %(limit)s::integer
ORDER BY seq
