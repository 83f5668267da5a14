-- When the next batch of a lane may start something. Index counts_open.
SELECT min(next_at) FROM counts WHERE lane = %(lane)s::text AND open = 1 AND next_at IS NOT NULL
