"""Reports for people: tables, figures, the model card."""
