"""Real processes, a real PostgreSQL, and faults at random moments."""
