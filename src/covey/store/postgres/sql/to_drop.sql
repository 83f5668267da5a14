-- Runs in a worker's hands that are to be dropped. Indexes live_dropped and live_worker, primary key of batches.
SELECT batch, seq, attempt, 'aborted' AS reason FROM live
WHERE worker = %(worker)s::text AND dropped = 1 AND state = 1
UNION
SELECT l.batch, l.seq, l.attempt, CASE WHEN b.stop_reason = 'expire' THEN 'expired' ELSE 'aborted' END
FROM live l JOIN batches b ON b.id = l.batch
WHERE l.worker = %(worker)s::text AND l.state = 1 AND b.aborted_at IS NOT NULL
