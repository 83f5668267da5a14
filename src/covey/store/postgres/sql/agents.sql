-- A workspace's agents. Primary key of agents.
SELECT * FROM agents WHERE workspace = %(workspace)s::text ORDER BY created_at, id
