-- The runs of an item that were not its last. Primary key of runs.
SELECT attempt AS run_attempt, state AS run_state, code, message, started_at AS run_started_at, ended_at, seconds,
    result
FROM runs WHERE batch = %(batch)s::bytea AND seq = %(seq)s::integer AND last = 0 ORDER BY attempt
