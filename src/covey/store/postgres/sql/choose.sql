-- The batch that is next on a lane: of the share with the least active for its weight, longest unserved, the batch
-- likewise; with how many shares, and batches of that share, contend. A share that could start nothing just now comes
-- after all others. Index counts_open, primary key of shares.
WITH due AS MATERIALIZED (
    SELECT batch, workspace, active, served_at FROM counts
    WHERE lane = %(lane)s::text AND open = 1 AND next_at <= %(now)s::bigint
), share AS (
    SELECT shares.workspace FROM shares
    WHERE shares.lane = %(lane)s::text AND shares.workspace IN (SELECT due.workspace FROM due)
    ORDER BY shares.aside_at > %(aside)s::bigint AND shares.aside_at <= %(now)s::bigint,
        shares.active / shares.weight, shares.served_at, shares.workspace
    LIMIT 1
)
SELECT due.batch, (SELECT count(DISTINCT due.workspace) FROM due) AS shares, count(*) OVER () AS batches
FROM share JOIN due ON due.workspace = share.workspace
ORDER BY due.active, due.served_at, due.batch
LIMIT 1
