-- A key was used. Primary key of keys.
UPDATE keys SET last_used_at = max(coalesce(last_used_at, 0), :at) WHERE id = :id
