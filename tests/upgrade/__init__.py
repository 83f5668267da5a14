"""Databases that older Coveys wrote, opened by the code as it is now."""
