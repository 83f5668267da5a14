-- Create a lane or change its limits.
INSERT INTO limits (lane, cap, pace) VALUES (%(lane)s::text, %(cap)s::integer, %(pace)s::double precision)
ON CONFLICT (lane) DO UPDATE SET cap = excluded.cap, pace = excluded.pace
