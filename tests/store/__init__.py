"""What only the SQLite store has: its writer, its file, its copies, its query plans."""
