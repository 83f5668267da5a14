-- The list of the migrations that were applied; it comes before the first of them.
CREATE TABLE IF NOT EXISTS covey_schema (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    stage      text NOT NULL CHECK (stage IN ('pre', 'post')),
    applied_at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
)
