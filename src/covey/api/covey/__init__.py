"""Covey's own routes: health, keys and workspaces, do-not-call, people, trunks, the API page."""
