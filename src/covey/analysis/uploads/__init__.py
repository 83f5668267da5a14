"""Uploads in parts: what has come of each, and the asset that the parts become."""
