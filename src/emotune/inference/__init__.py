"""Predictions: tokenize, batch by length, run the model."""
