"""The engine's loops, driven round by round on a real store."""
