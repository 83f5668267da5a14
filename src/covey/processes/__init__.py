"""Child processes: how one is started, asked and ended, and what it does when its parent dies."""
