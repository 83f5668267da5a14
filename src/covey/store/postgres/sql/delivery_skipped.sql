-- Nothing was sent, as the endpoints had not asked for it: that ends, and is no try. Primary key of deliveries.
UPDATE deliveries SET state = 'delivered', attempts = attempts - 1, next_at = NULL, ended_at = skipped.now,
    status = NULL, error = NULL
FROM unnest(%(now)s::bigint[], %(id)s::bytea[]) AS skipped (now, id)
WHERE deliveries.id = skipped.id AND next_at IS NOT NULL
