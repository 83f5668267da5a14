"""The runner for videos: assets, what is read from them, and what answers."""
