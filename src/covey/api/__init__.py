"""The HTTP API: Trillet's batch calls, TwelveLabs' batch analysis and Covey's own routes, over the engine."""
