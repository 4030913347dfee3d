"""Tuners that PEFT does not have, in PEFT's own terms. Importing a module of this package registers its tuner with PEFT."""
