"""What every room stands on: errors, progress, memory, locks, precision, files written whole, text made safe to show."""
