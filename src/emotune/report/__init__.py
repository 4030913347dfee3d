"""What people read: tables, figures, the model card."""
