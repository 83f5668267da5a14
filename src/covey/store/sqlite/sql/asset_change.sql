-- What was found out about an asset. Primary key of assets.
UPDATE assets SET state = :state, size = :size, seconds = :seconds, kind = :kind, facts = :facts, error = :error
WHERE workspace = :workspace AND id = :id
