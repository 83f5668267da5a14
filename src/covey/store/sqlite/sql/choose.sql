-- The batch that is next on a lane: of the share with the least active for its weight, longest unserved, the batch
-- likewise; with how many shares, and batches of that share, contend. Index counts_due, primary key of shares.
WITH due AS MATERIALIZED (
    SELECT workspace, count(*) AS batches FROM counts
    WHERE lane = :lane AND next_at <= :now
    GROUP BY workspace
), share AS (
    SELECT due.workspace, due.batches, count(*) OVER () AS shares
    FROM due JOIN shares ON shares.lane = :lane AND shares.workspace = due.workspace
    ORDER BY shares.active / shares.weight, shares.served_at
    LIMIT 1
)
SELECT counts.batch, share.shares, share.batches
FROM share JOIN counts ON counts.lane = :lane AND counts.next_at <= :now AND counts.workspace = share.workspace
ORDER BY counts.active, counts.served_at
LIMIT 1
