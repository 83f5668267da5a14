-- The other Coveys on this database, by the newest schema that each says it knows.
SELECT DISTINCT substring(application_name FROM '^covey schema (\d+)$')::integer AS schema
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name ~ '^covey schema \d+$'
