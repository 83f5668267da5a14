-- One agent. Primary key of agents.
SELECT * FROM agents WHERE workspace = :workspace AND id = :id
