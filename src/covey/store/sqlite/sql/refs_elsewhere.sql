-- Which of these refs are also in a batch of the workspace on a lane that has not ended or was accepted lately, each with
-- one such batch. No batch before `oldest` is one. Index items_ref, primary key of batches.
SELECT ref, batch FROM (
    SELECT asked.value AS ref, (
        SELECT i.batch FROM items i CROSS JOIN batches b ON b.id = i.batch
        WHERE i.ref = asked.value AND i.batch >= :oldest AND b.workspace = :workspace
            AND b.lane = :lane AND b.accepted_at IS NOT NULL AND b.erased_at IS NULL
            AND (b.completed_at IS NULL OR b.accepted_at > :since)
        LIMIT 1
    ) AS batch
    FROM json_each(:refs) AS asked
) WHERE batch IS NOT NULL
