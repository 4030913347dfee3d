"""Tuners that PEFT does not have, on its interfaces. Importing a module of this package registers its tuner."""
