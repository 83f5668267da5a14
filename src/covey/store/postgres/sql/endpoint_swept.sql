-- An endpoint was looked at: it is to be looked at again later, or never. Primary key of endpoints.
UPDATE endpoints SET sweep_at = %(sweep_at)s::bigint WHERE id = %(endpoint)s::text
