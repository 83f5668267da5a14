-- Which of these refs have an active item in the workspace. Primary key of busy_refs.
SELECT b.ref FROM unnest(%(refs)s::text[]) AS asked (ref)
CROSS JOIN LATERAL (
    SELECT ref FROM busy_refs WHERE busy_refs.workspace = %(workspace)s::text AND busy_refs.ref = asked.ref LIMIT 1
) b
