"""The fast path of encoders: texts packed without padding, forward and backward passes written out."""
