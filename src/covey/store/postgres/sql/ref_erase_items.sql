-- A person's rows are overwritten. Index items_ref.
UPDATE items SET ref = %(replacement)s::text, custom_id = NULL, input = '{}'::json
WHERE ref = %(ref)s::text AND batch IN (SELECT id FROM batches WHERE workspace = %(workspace)s::text)
