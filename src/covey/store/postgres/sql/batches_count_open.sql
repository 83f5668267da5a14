-- How many there are of batches that have not ended. Index batches_open.
SELECT count(*) FROM batch_rows
WHERE completed_at IS NULL AND accepted_at IS NOT NULL AND erased_at IS NULL
    AND (%(workspace)s::text IS NULL OR workspace = %(workspace)s::text)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s::text)
    AND (%(origin)s::text IS NULL OR origin = %(origin)s::text)
    AND (%(states)s::text[] IS NULL
        OR CASE WHEN state = 'queued' AND start_at > %(now)s::bigint THEN 'scheduled' ELSE state END
            = ANY(%(states)s::text[]))
