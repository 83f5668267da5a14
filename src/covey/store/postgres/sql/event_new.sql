-- Things happened to batches.
INSERT INTO events (workspace, batch, at, type, actor, data)
SELECT new.workspace, new.batch, new.at, new.type, new.actor, new.data::json
FROM unnest(
    %(workspace)s::text[], %(batch)s::bytea[], %(at)s::bigint[], %(type)s::text[], %(actor)s::text[], %(data)s::text[]
) WITH ORDINALITY AS new (workspace, batch, at, type, actor, data, n)
ORDER BY new.n
