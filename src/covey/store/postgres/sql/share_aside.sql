-- A share could start nothing. Primary key of shares.
UPDATE shares SET aside_at = %(now)s::bigint WHERE lane = %(lane)s::text AND workspace = %(workspace)s::text
