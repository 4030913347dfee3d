"""Tests of the data's way in."""
