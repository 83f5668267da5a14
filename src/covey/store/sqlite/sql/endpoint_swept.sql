-- An endpoint that is off has no waiting delivery left, or its batch is there. Primary key of endpoints.
UPDATE endpoints SET sweep_at = NULL WHERE id = :endpoint
