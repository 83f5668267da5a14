-- After a PostgreSQL database was restored from a copy, and before any Covey is started on it: pause every batch that
-- had not ended and whose runs must not be repeated. Nobody knows whom it called since the copy was made.
--
--   psql --set ON_ERROR_STOP=1 --single-transaction --file deploy/postgresql/after-restore.sql "$COVEY_DATABASE"
--
-- `covey list` and `covey show` then say why each is paused; `covey resume` lets one go on, `covey cancel` ends it.

UPDATE counts SET next_at = NULL
FROM batches
WHERE batches.id = counts.batch AND batches.repeatable = 0 AND batches.accepted_at IS NOT NULL
    AND batches.completed_at IS NULL AND batches.stopped_at IS NULL AND batches.erased_at IS NULL;

UPDATE batches
SET paused_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, pause_reason = 'restored'
WHERE repeatable = 0 AND accepted_at IS NOT NULL
    AND completed_at IS NULL AND stopped_at IS NULL AND erased_at IS NULL;
