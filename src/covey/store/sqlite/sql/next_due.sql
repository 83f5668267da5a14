-- When the next batch of a lane may start something. Index counts_due.
SELECT min(next_at) FROM counts WHERE lane = :lane AND next_at IS NOT NULL
