-- The standbys that are attached, and which of them a commit waits for. Without the role pg_monitor only their number.
SELECT count(*) AS attached,
    count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) AS waited_for,
    current_setting('synchronous_standby_names') AS named
FROM pg_stat_replication
