"""The settings of a run: its sections, presets, and the layers that they come in."""
