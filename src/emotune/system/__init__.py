"""Foundations of all subpackages: errors, progress, memory, locks, precision, atomic writes, text made safe to show."""
