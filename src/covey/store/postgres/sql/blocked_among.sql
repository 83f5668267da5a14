-- Which of these refs a workspace keeps from being touched. Primary key of blocked.
SELECT b.ref FROM unnest(%(refs)s::text[]) AS asked (ref)
CROSS JOIN LATERAL (
    SELECT ref FROM blocked WHERE blocked.workspace = %(workspace)s::text AND blocked.ref = asked.ref LIMIT 1
) b
