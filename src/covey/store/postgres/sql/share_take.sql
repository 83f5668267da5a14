-- Slots of a share are taken. Primary key of shares.
UPDATE shares SET active = active + %(n)s::integer, served_at = %(served_at)s::bigint
WHERE lane = %(lane)s::text AND workspace = %(workspace)s::text
