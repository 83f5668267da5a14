"""The engine's real loops on simulated machines: one event loop, one clock, every fault seeded and repeatable."""
