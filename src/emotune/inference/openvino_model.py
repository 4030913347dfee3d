"""Models of OpenVINO: converted from the captured graph, quantized to int8 by NNCF with training texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotune.inference.graph import INPUTS, OUTPUT
from emotune.system.errors import ModelError
from emotune.system.outside import translated
from emotune.system.text import printable

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from emotune.models.encoding import Encoded

MODEL = "openvino_model.xml"


def converted(program: ExportedProgram, kind: str, inputs: Sequence[str] = INPUTS, *, advice: str = "") -> Any:
    """Convert a captured classifier to a model of OpenVINO, with float32 weights.

    Args:
        program: The result of `captured`.
        kind: The model's type, for the message.
        inputs: The result of `inputs_of`.
        advice: What to do instead if it cannot be converted, for the message.

    Raises:
        ModelError: OpenVINO cannot convert it, as GPT-2 and the first DeBERTa.
    """
    import openvino

    with translated(
        lambda reason: ModelError(
            f"OpenVINO {version('openvino')} cannot convert a model of type '{kind}'. {advice}\n"
            f"OpenVINO's reason: {printable(reason)}"
        )
    ):
        model = openvino.convert_model(program)
    for port, name in zip(model.inputs, inputs, strict=True):
        port.get_tensor().set_names({name})
    model.outputs[0].get_tensor().set_names({OUTPUT})
    return model


def quantized(model: Any, encoded: Encoded, *, but_narrowing: bool = False) -> Any:
    """Return the model with matrix products in int8, their scales calibrated on the given texts.

    Args:
        model: The result of `converted`, which is left unchanged.
        encoded: Token ids of training texts.
        but_narrowing: Leave out products with fewer outputs than inputs: the second of each feed-forward block, whose
            input has outliers, and the head. They cause most of the difference from float32 (benchmarks/LOG.md).
    """
    import nncf

    return nncf.quantize(
        model,
        nncf.Dataset(list(_one_by_one(encoded))),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(encoded),
        ignored_scope=nncf.IgnoredScope(names=narrowing(model)) if but_narrowing else None,
    )


def narrowing(model: Any) -> list[str]:
    """Return the names of the matrix products whose weight gives fewer outputs than it takes inputs."""
    found = []
    for node in model.get_ops():
        if node.get_type_name() == "MatMul" and node.input_value(1).get_node().get_type_name() == "Constant":
            shape = list(node.input_value(1).get_shape())
            inputs, outputs = reversed(shape) if node.get_attributes()["transpose_b"] else shape
            if inputs > outputs:
                found.append(node.get_friendly_name())
    return found


def write_openvino(model: Any, folder: Path) -> None:
    """Write openvino_model.xml and .bin; weights keep their type, which OpenVINO would halve otherwise."""
    import openvino

    openvino.save_model(model, folder / MODEL, compress_to_fp16=False)


def _one_by_one(encoded: Encoded) -> Iterator[Sequence[np.ndarray]]:
    """Yield the inputs of each text by itself, so that padding has no part in the calibration."""
    for number, ids in enumerate(encoded.ids):
        row = ids.astype(np.int64)[None]
        types = [] if encoded.types is None else [encoded.types[number].astype(np.int64)[None]]
        yield row, np.ones_like(row), *types
