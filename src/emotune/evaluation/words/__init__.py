"""What evaluations come to in plain text: figures, sentences, and tables as headings and cells. No library draws here."""
