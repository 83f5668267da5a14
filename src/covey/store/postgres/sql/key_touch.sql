-- Keys were used. Primary key of keys. In the order of the keys, so that two processes never wait for each other.
WITH used AS MATERIALIZED (
    SELECT keys.id, used.at
    FROM unnest(%(at)s::bigint[], %(id)s::text[]) AS used (at, id) JOIN keys ON keys.id = used.id
    ORDER BY keys.id
    FOR NO KEY UPDATE OF keys
)
UPDATE keys SET last_used_at = greatest(coalesce(keys.last_used_at, 0), used.at) FROM used WHERE keys.id = used.id
