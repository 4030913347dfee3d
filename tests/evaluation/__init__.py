"""Tests of scores, baselines and the comparison."""
