"""What is raised in the moment in which a promise is broken."""

from typing import Any


class Broken(AssertionError):
    """A promise was broken. `promise` names it."""

    def __init__(self, promise: str, **facts: Any) -> None:
        self.promise = promise
        self.facts = facts
        super().__init__(f"{promise}: " + ", ".join(f"{name}={value}" for name, value in facts.items()))
