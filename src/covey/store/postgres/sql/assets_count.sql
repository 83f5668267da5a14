-- How many assets of a workspace there are. Primary key of assets.
SELECT count(*) FROM assets
WHERE workspace = %(workspace)s::text
    AND (%(among)s::text[] IS NULL OR id = ANY(%(among)s::text[]))
    AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s::text[]))
    AND (%(folded)s::text IS NULL OR strpos(folded, %(folded)s::text) > 0)
