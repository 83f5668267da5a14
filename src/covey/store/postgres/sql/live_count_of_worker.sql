-- How many runs are in a worker's hands. Index live_worker.
SELECT count(*) FROM live WHERE worker = %(worker)s::text AND state = 1
