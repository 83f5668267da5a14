-- Assets that nobody looks at any more, as any other worker is dead, get another owner. Index assets_processing.
UPDATE assets SET owner = :me WHERE (workspace, id) IN (
    SELECT workspace, id FROM assets WHERE state = 'processing' AND owner <> :me LIMIT :limit
)
RETURNING *
