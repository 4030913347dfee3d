"""Training: batches, precision, the thin Trainer subclass, and the `finetune` verb."""
