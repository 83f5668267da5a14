-- A lock key that no other life has or had.
SELECT nextval('worker_keys')::integer
