"""The saved folder: its format, and writing, loading and verifying it."""
