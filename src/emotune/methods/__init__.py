"""Parameter-efficient fine-tuning methods, one small class each."""
