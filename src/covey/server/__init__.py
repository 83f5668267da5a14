"""A server: its parts, made from the settings, and the process that runs them."""
