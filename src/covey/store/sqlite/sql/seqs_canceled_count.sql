-- How many items behind a stopped batch's cursor were canceled. Primary keys of items, live and runs.
SELECT count(*) FROM (
    SELECT i.seq FROM items i
    LEFT JOIN live l ON l.batch = i.batch AND l.seq = i.seq AND l.state = 1
    LEFT JOIN runs r ON r.batch = i.batch AND r.seq = i.seq AND r.last = 1 AND r.state IN ('succeeded', 'failed')
    WHERE i.batch = :batch AND i.seq > :after AND i.seq < :cursor AND l.seq IS NULL AND r.seq IS NULL
)
