-- Endpoints that are to be looked at: switched off or deleted, with deliveries left perhaps, or of a batch that never
-- came or is gone (`orphaned`). Indexes endpoints_leftovers and deliveries_due, primary key of batches.
SELECT e.id, coalesce(e.erased_at, e.off_at) AS since, e.erased_at IS NOT NULL AS erased,
    e.batch <> ''::bytea AND (SELECT 1 FROM batches WHERE batches.id = e.batch LIMIT 1) IS NULL AS orphaned,
    (SELECT 1 FROM deliveries WHERE deliveries.endpoint = e.id AND state = 'waiting' LIMIT 1) IS NOT NULL AS waits
FROM endpoints e WHERE e.sweep_at <= %(now)s::bigint ORDER BY e.sweep_at LIMIT 100
