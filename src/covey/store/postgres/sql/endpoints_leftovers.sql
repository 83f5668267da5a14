-- Endpoints that were switched off or deleted and may have deliveries left. Index endpoints_leftovers.
SELECT id, coalesce(erased_at, off_at) AS since, erased_at IS NOT NULL AS erased FROM endpoints
WHERE leftovers = 1 ORDER BY id LIMIT 100
