"""Webhooks: endpoints, their secrets, and what is sent to them."""
