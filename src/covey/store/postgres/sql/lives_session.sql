-- The settings of a lock session: a lost client is noticed within 11 s, and no statement hangs.
SELECT
    set_config('synchronous_commit', 'on', false),
    set_config('statement_timeout', '5s', false),
    set_config('idle_session_timeout', '0', false),
    set_config('tcp_keepalives_idle', '5', false),
    set_config('tcp_keepalives_interval', '2', false),
    set_config('tcp_keepalives_count', '3', false),
    set_config('tcp_user_timeout', '11000', false)
