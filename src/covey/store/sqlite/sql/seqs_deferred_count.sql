-- How many items are deferred. Index live_due.
SELECT count(*) FROM live WHERE batch = :batch AND state = 0 AND seq > :after
