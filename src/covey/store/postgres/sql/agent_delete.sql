-- Remove an agent; batches keep the copy they froze. Primary key of agents.
DELETE FROM agents WHERE workspace = %(workspace)s::text AND id = %(id)s::text
