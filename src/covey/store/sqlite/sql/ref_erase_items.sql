-- A person's rows are overwritten. Index items_ref.
UPDATE items SET ref = :replacement, custom_id = NULL, input = x'7b7d'
WHERE ref = :ref AND batch IN (SELECT id FROM batches WHERE workspace = :workspace)
