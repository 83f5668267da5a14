-- name: asset_annotate
-- What an owner keeps with an asset. Primary key of assets.
UPDATE assets SET notes = %(notes)s::json WHERE workspace = %(workspace)s::text AND id = %(id)s::text

-- name: asset_change
-- What was found out about an asset. Primary key of assets.
UPDATE assets SET state = %(state)s::text, size = %(size)s::bigint, seconds = %(seconds)s::double precision,
    kind = %(kind)s::text, facts = %(facts)s::json, error = %(error)s::text
WHERE workspace = %(workspace)s::text AND id = %(id)s::text

-- name: asset_delete
-- An asset goes. Primary key of assets.
DELETE FROM assets WHERE workspace = %(workspace)s::text AND id = %(id)s::text

-- name: asset_new
-- A new asset.
INSERT INTO assets (workspace, id, name, folded, kind, method, state, owner, created_at, size, seconds, source, facts,
    error, notes)
VALUES (%(workspace)s::text, %(id)s::text, %(name)s::text, %(folded)s::text, %(kind)s::text, %(method)s::text,
    %(state)s::text, %(owner)s::text, %(created_at)s::bigint, %(size)s::bigint, %(seconds)s::double precision,
    %(source)s::text, %(facts)s::json, %(error)s::text, %(notes)s::json)

-- name: asset_read
-- One asset. Primary key of assets.
SELECT * FROM assets WHERE workspace = %(workspace)s::text AND id = %(id)s::text

-- name: assets_among
-- Those of some assets that a workspace has. Primary key of assets.
SELECT * FROM assets WHERE workspace = %(workspace)s::text AND id = ANY(%(among)s::text[])

-- name: assets_count (postgres)
-- How many assets of a workspace there are. Primary key of assets.
SELECT count(*) FROM assets
WHERE workspace = %(workspace)s::text
    AND (%(among)s::text[] IS NULL OR id = ANY(%(among)s::text[]))
    AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s::text[]))
    AND (%(folded)s::text IS NULL OR strpos(folded, %(folded)s::text) > 0)

-- name: assets_count (sqlite)
-- Differs: instr is strpos.
SELECT count(*) FROM assets
WHERE workspace = :workspace
    AND (:among IS NULL OR id IN (SELECT value FROM json_each(:among)))
    AND (:kinds IS NULL OR kind IN (SELECT value FROM json_each(:kinds)))
    AND (:folded IS NULL OR instr(folded, :folded) > 0)

-- name: assets_page (postgres)
-- A page of a workspace's assets, newest first. Primary key of assets.
SELECT * FROM assets
WHERE workspace = %(workspace)s::text
    AND (%(among)s::text[] IS NULL OR id = ANY(%(among)s::text[]))
    AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s::text[]))
    AND (%(folded)s::text IS NULL OR strpos(folded, %(folded)s::text) > 0)
ORDER BY id DESC
LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint

-- name: assets_page (sqlite)
-- Differs: instr is strpos.
SELECT * FROM assets
WHERE workspace = :workspace
    AND (:among IS NULL OR id IN (SELECT value FROM json_each(:among)))
    AND (:kinds IS NULL OR kind IN (SELECT value FROM json_each(:kinds)))
    AND (:folded IS NULL OR instr(folded, :folded) > 0)
ORDER BY id DESC
LIMIT :limit OFFSET :offset

-- name: assets_take_over (postgres)
-- Assets that nobody looks at any more, as their owner is dead, get another one; only one takes each. Index
-- assets_processing, primary keys of assets and workers.
UPDATE assets SET owner = %(me)s::text WHERE (workspace, id) IN (
    SELECT workspace, id FROM assets a WHERE state = 'processing' AND owner <> %(me)s::text
        AND NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = a.owner AND w.dead_at IS NULL)
    LIMIT %(limit)s::bigint FOR UPDATE SKIP LOCKED
)
RETURNING *

-- name: assets_take_over (sqlite)
-- Assets that nobody looks at any more, as any other worker is dead, get another owner. Index assets_processing.
-- Differs: rows are locked; SQLite has one writer.
UPDATE assets SET owner = :me WHERE (workspace, id) IN (
    SELECT workspace, id FROM assets WHERE state = 'processing' AND owner <> :me LIMIT :limit
)
RETURNING *
