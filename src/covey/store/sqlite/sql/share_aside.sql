-- A share could start nothing. Primary key of shares.
UPDATE shares SET aside_at = :now WHERE lane = :lane AND workspace = :workspace
