-- Slots of a share are free again. Primary key of shares.
UPDATE shares SET active = active - :n WHERE lane = :lane AND workspace = :workspace
