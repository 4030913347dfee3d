"""The audit of labelled data, and its cleaned copy."""
