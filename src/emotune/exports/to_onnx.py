"""ONNX: written by PyTorch's exporter, quantized to int8 by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.inference.graph import INPUTS, OUTPUT
from emotune.system.errors import ModelError
from emotune.system.outside import translated

if TYPE_CHECKING:
    from torch.export import ExportedProgram

MODEL = "model.onnx"
_AXES = ("rows", "tokens")
# One file holds at most two gigabytes of weights.
_LARGEST = 2_000_000_000


def write_onnx(program: ExportedProgram, folder: Path, inputs: Sequence[str] = INPUTS) -> None:
    """Write a captured classifier as model.onnx, with float32 weights.

    Args:
        program: The result of `captured`.
        folder: An existing folder.
        inputs: The result of `inputs_of`.

    Raises:
        ModelError: It is too large for one file, or PyTorch cannot translate it.
    """
    import onnx
    import torch

    size = sum(tensor.numel() * tensor.element_size() for tensor in program.state_dict.values())
    if size > _LARGEST:
        raise ModelError(
            f"The model has {size / 1e9:.1f} GB of weights; one ONNX file holds at most {_LARGEST / 1e9:.0f} GB. "
            "Export it with --to openvino or --to merged."
        )
    with translated(lambda reason: ModelError(f"PyTorch cannot translate the model to ONNX: {reason}.")):
        written = torch.onnx.export(
            program,
            dynamo=True,
            input_names=list(inputs),
            output_names=[OUTPUT],
            external_data=False,
            verbose=False,
        )
    if written is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model = written.model_proto
    for value in (*model.graph.input, *model.graph.output):
        for axis, name in zip(value.type.tensor_type.shape.dim, _AXES, strict=False):
            if axis.HasField("dim_param"):
                axis.dim_param = name
    del model.graph.value_info[:]  # inner shapes, which name the axes as PyTorch does
    onnx.checker.check_model(model)
    onnx.save_model(model, folder / MODEL)


def quantize_onnx(folder: Path) -> None:
    """Replace model.onnx by one with matrix products in int8: weights now, activations while it runs.

    The weights of each output channel have their own scale, and seven bits, since eight overflow on processors without
    VNNI. The activations of a batch share one scale, so a text's logits depend a little on the other texts of its batch.
    Products that narrow stay in float32: the second of each feed-forward block, whose input has outliers that such a
    scale cannot hold, and the head. benchmarks/LOG.md has what each of these choices brings.

    Args:
        folder: A folder with the model in float32.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = folder / f"whole_{MODEL}"
    (folder / MODEL).rename(whole)
    quantize_dynamic(
        whole,
        folder / MODEL,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        op_types_to_quantize=["MatMul", "Gemm"],
        nodes_to_exclude=narrowing(onnx.load(whole)),
        extra_options={"MatMulConstBOnly": True},
    )
    whole.unlink()


def narrowing(model: Any) -> list[str]:
    """Return the names of the matrix products whose weight gives fewer outputs than it takes inputs.

    Args:
        model: A model of ONNX.
    """
    shapes = {weight.name: tuple(weight.dims) for weight in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Gemm") and len(shape := shapes.get(node.input[1], ())) == 2:
            turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
            inputs, outputs = reversed(shape) if turned else shape
            if inputs > outputs:
                found.append(node.name)
    return found
