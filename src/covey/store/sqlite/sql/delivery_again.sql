-- A delivery that has ended is to be sent again. Primary key of deliveries.
UPDATE deliveries SET state = 'waiting', next_at = :now, attempts = 0, ended_at = NULL, status = NULL, error = NULL
WHERE id = :id AND state <> 'waiting'
