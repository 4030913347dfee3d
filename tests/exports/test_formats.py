"""What may be asked of an export, and what is said where it may not."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

import emotune.system.extras
from emotune.exports.formats import FORMATS, ExportOptions
from emotune.system.errors import ConfigError


def asked(**values: Any) -> ExportOptions:
    return ExportOptions(**values)


def test_every_format_is_offered_in_fp32() -> None:
    assert {asked(to=name).name for name in FORMATS} == {"merged", "onnx", "openvino"}
    assert asked(to="openvino", precision="int8").name == "openvino_int8"


@pytest.mark.parametrize(
    ("values", "facts"),
    [
        ({"to": "tflite"}, ["to", "tflite", "merged", "onnx", "openvino"]),
        ({"to": "onnx", "precision": "int4"}, ["precision", "int4", "fp32", "int8"]),
        ({"to": "merged", "precision": "int8"}, ["merged", "fp32 only", "int8 needs onnx or openvino"]),
        ({"to": "onnx", "margin": 0.0}, ["margin", "0.0", "above 0"]),
        ({"to": "onnx", "margin": 100.0}, ["margin", "100.0", "below 100"]),
    ],
)
def test_mistakes(values: dict[str, Any], facts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        asked(**values)
    for fact in facts:
        assert fact in str(caught.value)


@pytest.mark.parametrize(
    ("to", "precision", "missing", "line"),
    [
        ("onnx", "fp32", "onnxscript", "pip install 'emotune[export]'"),
        ("openvino", "fp32", "openvino", "pip install 'emotune[openvino]'"),
        ("openvino", "int8", "nncf", "pip install 'emotune[openvino]'"),
    ],
)
def test_missing_extras(to: str, precision: str, missing: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(emotune.system.extras, "find_spec", lambda name: None if name == missing else real(name))
    with pytest.raises(ConfigError, match="not installed") as caught:
        asked(to=to, precision=precision).check_installed()
    assert missing in str(caught.value)
    assert line in str(caught.value)


def test_what_is_not_used_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emotune.system.extras, "find_spec", lambda name: None if name in ("nncf", "onnx") else name)
    asked(to="openvino").check_installed()
    asked(to="merged").check_installed()
