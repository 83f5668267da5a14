-- Remove an agent; batches keep the copy they froze. Primary key of agents.
DELETE FROM agents WHERE workspace = :workspace AND id = :id
