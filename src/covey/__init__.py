"""Covey: a self-hosted server for batches of slow, expensive, outside work."""
