"""Evaluations in plain text: figures, sentences, and tables as headings and cells, without a graphics library."""
