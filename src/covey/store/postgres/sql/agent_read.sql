-- One agent. Primary key of agents.
SELECT * FROM agents WHERE workspace = %(workspace)s::text AND id = %(id)s::text
