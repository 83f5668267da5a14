-- Hear the hints of other processes on this connection.
LISTEN covey
