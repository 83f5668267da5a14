-- A workspace's agents. Primary key of agents.
SELECT * FROM agents WHERE workspace = :workspace ORDER BY created_at, id
