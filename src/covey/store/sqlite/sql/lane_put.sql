-- Create a lane or change its limits.
INSERT INTO limits (lane, cap, pace) VALUES (:lane, :cap, :pace)
ON CONFLICT (lane) DO UPDATE SET cap = excluded.cap, pace = excluded.pace
