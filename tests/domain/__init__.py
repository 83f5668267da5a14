"""The rules of the domain: pure functions."""
