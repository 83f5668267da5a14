-- Runs have ended.
INSERT INTO runs (batch, seq, attempt, last, state, code, message, worker, tries, started_at, ended_at, seconds,
    charged, tokens_in, tokens_out, cost, result)
SELECT new.batch, new.seq, new.attempt, new.last, new.state, new.code, new.message, new.worker, new.tries,
    new.started_at, new.ended_at, new.seconds, new.charged, new.tokens_in, new.tokens_out, new.cost,
    convert_from(new.result, 'UTF8')::json
FROM unnest(
    %(batch)s::bytea[], %(seq)s::integer[], %(attempt)s::integer[], %(last)s::smallint[], %(state)s::text[],
    %(code)s::text[], %(message)s::text[], %(worker)s::text[], %(tries)s::integer[], %(started_at)s::bigint[],
    %(ended_at)s::bigint[], %(seconds)s::double precision[], %(charged)s::double precision[], %(tokens_in)s::bigint[],
    %(tokens_out)s::bigint[], %(cost)s::bigint[], %(result)s::bytea[]
) AS new (batch, seq, attempt, last, state, code, message, worker, tries, started_at, ended_at, seconds, charged,
    tokens_in, tokens_out, cost, result)
