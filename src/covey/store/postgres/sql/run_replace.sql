-- The truth about a run takes the place of the guess. Primary key of runs.
UPDATE runs SET state = %(state)s::text, code = %(code)s::text, message = %(message)s::text,
    seconds = %(seconds)s::double precision, charged = %(charged)s::double precision,
    tokens_in = %(tokens_in)s::bigint, tokens_out = %(tokens_out)s::bigint,
    cost = %(cost)s::bigint, started_at = %(started_at)s::bigint, ended_at = %(ended_at)s::bigint,
    result = convert_from(%(result)s::bytea, 'UTF8')::json
WHERE batch = %(batch)s::bytea AND seq = %(seq)s::integer AND attempt = %(attempt)s::integer
