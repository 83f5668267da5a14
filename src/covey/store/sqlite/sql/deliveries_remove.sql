-- Remove a piece of the ended deliveries about a batch. Index deliveries_batch.
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries WHERE batch = :batch AND state <> 'waiting' LIMIT :limit
)
