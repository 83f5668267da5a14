"""The runner for calls: from a CSV of phone numbers and an agent to spoken conversations and their outcomes."""
