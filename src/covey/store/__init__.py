"""What the engine asks of a database (`ports`), and the databases that answer."""
