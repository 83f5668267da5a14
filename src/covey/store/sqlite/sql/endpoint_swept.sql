-- An endpoint that was switched off has no waiting delivery left. Primary key of endpoints.
UPDATE endpoints SET leftovers = 0 WHERE id = :endpoint
