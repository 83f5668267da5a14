-- Every further statement of this transaction ends after so long, with 57014.
SELECT set_config('statement_timeout', %(milliseconds)s::bigint::text, true)
