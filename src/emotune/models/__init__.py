"""Base models: load one with its tokenizer, and what differs between families."""
