"""Pushing a saved folder to the Hub: its texts, its card for readers there, and one commit."""
