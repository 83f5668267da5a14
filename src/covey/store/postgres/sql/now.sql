-- The time of this moment, whenever the transaction began.
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
