"""The settings of a run: its sections, the presets, and the layers that are merged."""
