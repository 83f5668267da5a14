-- A batch's hot row after a claim, a finish or a stop. Primary key of counts.
UPDATE counts SET cursor = :cursor, deferred = :deferred, active = :active, succeeded = :succeeded, failed = :failed,
    canceled = :canceled, succeeded_seconds = :succeeded_seconds, last_succeeded_at = :last_succeeded_at,
    last_ended_at = :last_ended_at, next_start = :next_start, next_at = :next_at,
    served_at = :served_at, streak = :streak, streak_code = :streak_code, stopped = :stopped, spent = :spent
WHERE batch = :batch
