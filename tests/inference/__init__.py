"""Tests of tokenization, batching and prediction."""
