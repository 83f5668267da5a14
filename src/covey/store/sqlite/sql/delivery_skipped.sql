-- Nothing was sent, as the endpoint had not asked for it: that ends, and is no try. Primary key of deliveries.
UPDATE deliveries SET state = 'delivered', attempts = attempts - 1, next_at = NULL, ended_at = :now, status = NULL,
    error = NULL
WHERE id = :id AND next_at IS NOT NULL
