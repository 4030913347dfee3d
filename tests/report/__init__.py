"""Tests of what people read: tables, figures, the model card."""
