"""Splits and folds: cut from training rows so that nothing leaks."""
