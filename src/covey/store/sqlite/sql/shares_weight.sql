-- A workspace's weight holds on every lane.
UPDATE shares SET weight = :weight WHERE workspace = :workspace
