"""The saved folder: its format, and what writes, loads and verifies it."""
