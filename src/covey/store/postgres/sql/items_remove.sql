-- Remove a piece of a batch's items, the last ones first. Primary key of items.
DELETE FROM items WHERE batch = %(batch)s::bytea AND seq >= (
    SELECT coalesce(max(seq), 0) - %(limit)s::integer + 1 FROM items WHERE batch = %(batch)s::bytea
)
