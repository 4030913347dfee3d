"""The data: load it from anywhere, check it, split it."""
