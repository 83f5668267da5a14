-- Remove a piece of the deliveries that ended long ago. Index deliveries_ended.
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries WHERE ended_at < :ended_before ORDER BY ended_at LIMIT :limit
)
