"""The HTTP API: Trillet's batch calls, and the house's own routes, over the engine."""
