"""A run from text to store."""
