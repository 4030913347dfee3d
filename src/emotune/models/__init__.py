"""Base models: loading one with its tokenizer, and the differences between families."""
