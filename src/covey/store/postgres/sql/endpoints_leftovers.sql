-- Endpoints that are to be looked at: switched off or deleted, with deliveries left perhaps, or of a batch that may
-- never have come. Index endpoints_leftovers, primary key of batches.
SELECT e.id, coalesce(e.erased_at, e.off_at) AS since, e.erased_at IS NOT NULL AS erased,
    (SELECT 1 FROM batches WHERE batches.id = e.batch LIMIT 1) IS NOT NULL AS has_batch
FROM endpoints e WHERE e.sweep_at <= %(now)s::bigint ORDER BY e.sweep_at LIMIT 100
