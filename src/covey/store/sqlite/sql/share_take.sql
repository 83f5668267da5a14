-- Slots of a share are taken. Primary key of shares.
UPDATE shares SET active = active + :n, served_at = :served_at WHERE lane = :lane AND workspace = :workspace
