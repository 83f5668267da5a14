-- Which of these refs are also in a batch of the workspace on a lane that has not ended or was accepted lately, each with
-- one such batch. No batch before `oldest` is one. Index items_ref, primary key of batches: what a batch must be is asked
-- outside of its LIMIT, or a plan might look for it, or for the items, by the workspace or by the age.
SELECT asked.ref, e.batch FROM unnest(%(refs)s::text[]) AS asked (ref)
CROSS JOIN LATERAL (
    SELECT i.batch FROM items i
    CROSS JOIN LATERAL (SELECT * FROM batches WHERE batches.id = i.batch LIMIT 1) b
    WHERE i.ref = asked.ref AND b.id >= %(oldest)s::bytea AND b.workspace = %(workspace)s::text
        AND b.lane = %(lane)s::text AND b.accepted_at IS NOT NULL AND b.erased_at IS NULL
        AND (b.completed_at IS NULL OR b.accepted_at > %(since)s::bigint)
    LIMIT 1
) e
