"""The PostgreSQL store: one database, shared by any number of processes."""
