-- A page of the items behind a stopped batch's cursor that were canceled: ended so, or left deferred by the stop.
-- Indexes runs_last and primary key of live.
SELECT seq FROM (
    SELECT seq FROM runs WHERE batch = :batch AND last = 1 AND state = 'canceled' AND seq > :after
    UNION ALL
    SELECT seq FROM live WHERE batch = :batch AND state = 0 AND seq > :after
)
ORDER BY seq LIMIT :limit OFFSET :offset
