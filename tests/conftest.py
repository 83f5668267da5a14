"""How much hypothesis tries: `pytest --hypothesis-profile=soak` (make soak) tries a hundred times as much."""

from hypothesis import HealthCheck, settings

# Deadlines measure the machine, which other work shares; a failure prints the line that repeats it.
settings.register_profile("suite", deadline=None, print_blob=True)
settings.register_profile(
    "soak", settings.get_profile("suite"), max_examples=10_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")
