"""Sweeps: many configurations and seeds on the same data, on one leaderboard."""
