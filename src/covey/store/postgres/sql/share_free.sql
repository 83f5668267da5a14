-- Slots of shares are free again. Primary key of shares.
UPDATE shares SET active = shares.active - freed.n
FROM unnest(%(n)s::integer[], %(lane)s::text[], %(workspace)s::text[]) AS freed (n, lane, workspace)
WHERE shares.lane = freed.lane AND shares.workspace = freed.workspace
