-- name: schema_add (postgres)
-- Note a migration as applied; in the transaction that applies it.
INSERT INTO covey_schema (number, name, stage) VALUES (%(number)s::integer, %(name)s::text, %(stage)s::text)

-- name: schema_applied (postgres)
-- The migrations that were applied, in order.
SELECT number, name, stage FROM covey_schema ORDER BY number

-- name: schema_lock (postgres)
-- Become the process that migrates, for as long as this session lasts. Asked again and again and never waited for: a
-- session that waits in a statement holds a snapshot, which an index built concurrently would wait for.
SELECT pg_try_advisory_lock(hashtextextended('covey migrations', 0)) AS got

-- name: schema_make (postgres)
-- The list of the migrations that were applied; it comes before the first of them.
CREATE TABLE IF NOT EXISTS covey_schema (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    stage      text NOT NULL CHECK (stage IN ('pre', 'post')),
    applied_at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
)

-- name: schema_others (postgres)
-- The other Coveys on this database, by the newest schema that each says it knows.
SELECT DISTINCT substring(application_name FROM '^covey schema (\d+)$')::integer AS schema
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name ~ '^covey schema \d+$'

-- name: schema_server (postgres)
-- What the server is: its version as a number, the database's encoding, and whether there is a schema of Covey's.
SELECT current_setting('server_version_num')::integer AS version,
    current_setting('server_encoding') AS encoding,
    to_regclass('covey_schema') IS NOT NULL AS made

-- name: doctor_server (postgres)
-- What doctor asks first: the version, the time, and the limits that a session has.
SELECT current_setting('server_version') AS version,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now,
    current_setting('statement_timeout') AS statement_timeout,
    current_setting('lock_timeout') AS lock_timeout,
    current_setting('idle_in_transaction_session_timeout') AS idle_timeout,
    current_setting('synchronous_commit') AS synchronous_commit

-- name: doctor_standbys (postgres)
-- The standbys that are attached, and which of them a commit waits for. Without the role pg_monitor only their number.
SELECT count(*) AS attached,
    count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) AS waited_for,
    current_setting('synchronous_standby_names') AS named
FROM pg_stat_replication
