-- A page of the items that ended in a state. Index runs_last.
SELECT seq FROM runs WHERE batch = :batch AND last = 1 AND state = :state AND seq > :after
ORDER BY seq LIMIT :limit OFFSET :offset
