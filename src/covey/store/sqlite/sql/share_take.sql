-- Slots of a share are taken. Primary key of shares.
UPDATE shares SET active = active + :n, served_at = :now WHERE lane = :lane AND workspace = :workspace
