"""Arithmetic of paired comparisons, on arrays."""
