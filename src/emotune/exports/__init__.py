"""Exports of a saved folder: merged safetensors, ONNX and OpenVINO, each checked against the original.

The package is not named `export`, since the public function `emotune.export` has this name.
"""
