"""The version of emotune, defined only here."""

__version__ = "0.2.0"
