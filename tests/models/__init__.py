"""Tests of base models: loading them, checking their files, telling their families apart."""
