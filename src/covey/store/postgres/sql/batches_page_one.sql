-- A page of a workspace's batches of one origin. Index batches_workspace; newest first.
SELECT * FROM batch_rows
WHERE workspace = %(workspace)s::text AND origin = %(origin)s::text AND accepted_at IS NOT NULL AND erased_at IS NULL
    AND (%(kind)s::text IS NULL OR kind = %(kind)s::text)
    AND (%(states)s::text[] IS NULL
        OR CASE WHEN state = 'queued' AND start_at > %(now)s::bigint THEN 'scheduled' ELSE state END
            = ANY(%(states)s::text[]))
    AND (%(before)s::bytea IS NULL OR id < %(before)s::bytea)
ORDER BY id DESC
LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint
