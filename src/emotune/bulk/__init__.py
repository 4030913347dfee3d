"""Prediction of whole files: on this machine in constant memory, or on a Ray cluster."""
