-- One lane with its limits and breaker. Primary key of limits.
SELECT * FROM limits WHERE lane = %(lane)s::text
