-- The migrations that were applied, in order.
SELECT number, name, stage FROM covey_schema ORDER BY number
