"""Scores, baselines and the comparison of two models on the same rows."""
