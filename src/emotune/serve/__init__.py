"""The HTTP service: saved folders behind the interfaces that clients already speak."""
