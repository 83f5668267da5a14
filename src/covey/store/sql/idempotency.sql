-- name: answer_begin
-- An idempotent request begins; nothing if it has begun already.
INSERT INTO idempotency (workspace, key, route, digest, owner, created, created_at)
VALUES (%(workspace)s::text, %(key)s::text, %(route)s::text, %(digest)s::bytea, %(owner)s::text, %(created)s::text,
    %(now)s::bigint)
ON CONFLICT (workspace, key) DO NOTHING

-- name: answer_forget
-- An idempotent request may be tried again. Primary key of idempotency.
DELETE FROM idempotency WHERE workspace = %(workspace)s::text AND key = %(key)s::text

-- name: answer_keep
-- The answer to an idempotent request. Primary key of idempotency.
UPDATE idempotency SET status = %(status)s::integer, body = %(body)s::bytea
WHERE workspace = %(workspace)s::text AND key = %(key)s::text

-- name: answer_read (postgres)
-- What is known of an idempotent request, and whether the process that began it lives. Primary key of idempotency.
SELECT i.*, coalesce((SELECT w.dead_at IS NULL FROM workers w WHERE w.id = i.owner), false) AS owner_alive
FROM idempotency i WHERE workspace = %(workspace)s::text AND key = %(key)s::text

-- name: answer_read (sqlite)
-- Differs: the subquery is a look-up by primary key, which EXISTS might not be.
SELECT i.*, EXISTS (SELECT 1 FROM workers w WHERE w.id = i.owner AND w.dead_at IS NULL) AS owner_alive
FROM idempotency i WHERE workspace = :workspace AND key = :key

-- name: answer_take_over
-- Another process goes on with a request whose first process is gone; only one does. Primary key of idempotency.
UPDATE idempotency SET owner = %(owner)s::text
WHERE workspace = %(workspace)s::text AND key = %(key)s::text AND owner = %(old)s::text

-- name: idempotency_old (postgres)
-- Forget answers kept long enough. Index idempotency_age.
DELETE FROM idempotency WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM idempotency WHERE created_at < %(before)s::bigint ORDER BY created_at LIMIT %(limit)s::bigint
))

-- name: idempotency_old (sqlite)
-- Differs: the ids are found once, as an array; ctid is the rowid.
DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency WHERE created_at < :before LIMIT :limit)
