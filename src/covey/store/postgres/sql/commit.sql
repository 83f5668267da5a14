-- What was written is on disk when this is answered.
COMMIT
