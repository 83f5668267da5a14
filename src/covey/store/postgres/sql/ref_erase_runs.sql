-- What was said in a person's runs is removed; states, codes and times stay. Index items_ref.
UPDATE runs SET result = '{}'::json, message = ''
WHERE (batch, seq) IN (
    SELECT i.batch, i.seq FROM items i JOIN batches b ON b.id = i.batch AND b.workspace = %(workspace)s::text
    WHERE i.ref = %(ref)s::text
)
