-- The batch that is next on a lane: of the share with the least active for its weight, longest unserved, the batch
-- likewise; with how many shares, and batches of that share, contend. A share that could start nothing just now comes
-- after all others. Indexes shares_next, counts_share, counts_due.
WITH share AS (
    SELECT * FROM (
        SELECT shares.workspace FROM shares
        WHERE shares.lane = :lane AND NOT (shares.aside_at > :aside AND shares.aside_at <= :now) AND EXISTS (
            SELECT 1 FROM counts
            WHERE counts.lane = :lane AND counts.workspace = shares.workspace AND counts.next_at <= :now
        )
        ORDER BY shares.active / shares.weight, shares.served_at
        LIMIT 1
    )
    UNION ALL
    SELECT * FROM (
        SELECT shares.workspace FROM shares
        WHERE shares.lane = :lane AND EXISTS (
            SELECT 1 FROM counts
            WHERE counts.lane = :lane AND counts.workspace = shares.workspace AND counts.next_at <= :now
        )
        ORDER BY shares.active / shares.weight, shares.served_at
        LIMIT 1
    )
    LIMIT 1
)
SELECT counts.batch,
    (SELECT count(DISTINCT due.workspace) FROM counts due WHERE due.lane = :lane AND due.next_at <= :now) AS shares,
    count(*) OVER () AS batches
FROM share JOIN counts ON counts.lane = :lane AND counts.workspace = share.workspace AND counts.next_at <= :now
ORDER BY counts.active, counts.served_at, counts.batch
LIMIT 1
