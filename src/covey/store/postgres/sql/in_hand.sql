-- The runs that are in a worker's hands. Index live_worker.
SELECT batch, seq, attempt FROM live WHERE worker = %(worker)s::text AND state = 1
