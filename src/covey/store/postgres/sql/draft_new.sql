-- A draft begins.
INSERT INTO batches (id, workspace, kind, lane, origin, name, config, notes, owner, fingerprint, max_tries, repeatable,
    exclusive, self_pausing, hours, asked_cap, asked_pace, created_at, start_at, expires_at, prices, max_cost, run_cost, keep_for,
    deletes_at)
VALUES (%(id)s::bytea, %(workspace)s::text, %(kind)s::text, %(lane)s::text, %(origin)s::text, %(name)s::text,
    convert_from(%(config)s::bytea, 'UTF8')::json, %(notes)s::json, %(owner)s::text, %(fingerprint)s::text,
    %(max_tries)s::integer, %(repeatable)s::smallint, %(exclusive)s::smallint, %(self_pausing)s::smallint,
    %(hours)s::text, %(cap)s::integer,
    %(pace)s::double precision, %(created_at)s::bigint, %(start_at)s::bigint, %(expires_at)s::bigint,
    %(prices)s::json, %(max_cost)s::bigint, %(run_cost)s::bigint, %(keep_for)s::bigint, %(deletes_at)s::bigint)
