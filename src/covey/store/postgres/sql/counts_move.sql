-- The hot rows of batches after a claim, a finish or a stop. Primary key of counts.
UPDATE counts SET cursor = new.cursor, deferred = new.deferred, active = new.active, succeeded = new.succeeded,
    failed = new.failed, canceled = new.canceled, succeeded_seconds = new.succeeded_seconds,
    last_succeeded_at = new.last_succeeded_at, last_ended_at = new.last_ended_at, next_start = new.next_start,
    next_at = new.next_at, served_at = new.served_at, streak = new.streak, streak_code = new.streak_code,
    stopped = new.stopped, spent = new.spent
FROM unnest(
    %(cursor)s::integer[], %(deferred)s::integer[], %(active)s::integer[], %(succeeded)s::integer[],
    %(failed)s::integer[], %(canceled)s::integer[], %(succeeded_seconds)s::double precision[],
    %(last_succeeded_at)s::bigint[], %(last_ended_at)s::bigint[], %(next_start)s::bigint[], %(next_at)s::bigint[],
    %(served_at)s::bigint[], %(streak)s::integer[], %(streak_code)s::text[], %(stopped)s::smallint[],
    %(spent)s::bigint[], %(batch)s::bytea[]
) AS new (cursor, deferred, active, succeeded, failed, canceled, succeeded_seconds, last_succeeded_at, last_ended_at,
    next_start, next_at, served_at, streak, streak_code, stopped, spent, batch)
WHERE counts.batch = new.batch
