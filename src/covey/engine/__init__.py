"""The engine: one class per loop. It moves items through runs and never knows what a run does."""
