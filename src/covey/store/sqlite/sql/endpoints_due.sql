-- The endpoints that have deliveries due, those first that do not fail, then by how long they are due; with how many
-- deliveries are due, `most` at most. From endpoint to endpoint along the index, so that it costs the same however many
-- wait for one. Index deliveries_due, primary key of endpoints.
WITH RECURSIVE waiting (endpoint) AS (
    SELECT min(endpoint) FROM deliveries WHERE state = 'waiting'
    UNION ALL
    SELECT (SELECT min(d.endpoint) FROM deliveries d WHERE d.state = 'waiting' AND d.endpoint > waiting.endpoint)
    FROM waiting WHERE waiting.endpoint IS NOT NULL
), due AS (
    SELECT waiting.endpoint, (
        SELECT min(next_at) FROM deliveries WHERE state = 'waiting' AND deliveries.endpoint = waiting.endpoint
    ) AS due_at
    FROM waiting
)
SELECT due.endpoint, e.failing_since IS NOT NULL AS failing, (
    SELECT count(*) FROM (
        SELECT 1 FROM deliveries
        WHERE state = 'waiting' AND deliveries.endpoint = due.endpoint AND next_at <= :now LIMIT :most
    )
) AS n
FROM due CROSS JOIN endpoints e ON e.id = due.endpoint
WHERE due.due_at <= :now AND e.off_at IS NULL AND e.erased_at IS NULL
ORDER BY failing, due.due_at
LIMIT :limit
