-- Assets that nobody looks at any more, as their owner is dead, get another one; only one takes each. Index
-- assets_processing, primary keys of assets and workers.
UPDATE assets SET owner = %(me)s::text WHERE (workspace, id) IN (
    SELECT workspace, id FROM assets a WHERE state = 'processing' AND owner <> %(me)s::text
        AND NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = a.owner AND w.dead_at IS NULL)
    LIMIT %(limit)s::bigint FOR UPDATE SKIP LOCKED
)
RETURNING *
