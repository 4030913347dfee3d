"""Every family of encoders that emotune knows gives in ONNX what it gives in PyTorch, and all but two in OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import BertTokenizer

from emotune.exports.to_onnx import narrowing, write_onnx
from emotune.inference.graph import INPUTS, captured
from emotune.inference.openvino_model import converted, write_openvino
from emotune.system.errors import ModelError
from emotune.system.quiet import quiet, without_telemetry

from ..tiny_models import CONFIGS, make_config

# OpenVINO cannot convert these; ONNX Runtime runs them.
NOT_IN_OPENVINO = ("deberta", "gpt2")
SHAPES = ((1, 3), (3, 17), (2, 31))


def made(family: str, tokenizer: BertTokenizer) -> Any:
    """A tiny classifier with random weights."""
    import torch
    from transformers import AutoModelForSequenceClassification

    config = make_config(family, len(tokenizer), num_labels=3)
    if config.pad_token_id is None:
        config.pad_token_id = 0
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForSequenceClassification.from_config(config).eval()


@pytest.mark.slow
@pytest.mark.parametrize("family", CONFIGS)
def test_a_family(family: str, tiny_tokenizer: BertTokenizer, tmp_path: Path) -> None:
    import onnxruntime
    import torch

    model = made(family, tiny_tokenizer)
    with quiet():
        program = captured(model)
        write_onnx(program, tmp_path)
    onnx = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    vino = None
    if family in NOT_IN_OPENVINO:
        with quiet(), without_telemetry(), pytest.raises(ModelError, match=rf"type '{family}'.*--to onnx"):
            converted(program, family, advice="Export it with --to onnx.")
    else:
        with quiet(), without_telemetry():
            import openvino

            write_openvino(converted(program, family), tmp_path)
            exact = {"INFERENCE_PRECISION_HINT": "f32"}
            vino = openvino.compile_model(tmp_path / "openvino_model.xml", "CPU", exact)
    assert [axis.shape for axis in onnx.get_inputs()] == [["rows", "tokens"]] * 2
    rng = np.random.default_rng(0)
    pad = int(model.config.pad_token_id)
    for rows, tokens in SHAPES:
        ids = rng.integers(10, len(tiny_tokenizer), (rows, tokens))
        mask = np.ones_like(ids)
        mask[0, (tokens + 1) // 2 :] = 0
        ids[mask == 0] = pad
        with torch.inference_mode():
            expected = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()
        given = {"input_ids": ids, "attention_mask": mask}
        np.testing.assert_allclose(onnx.run(None, given)[0], expected, atol=2e-5)
        if vino is not None:
            np.testing.assert_allclose(vino(given)["logits"], expected, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["albert", "bert", "electra"])
def test_types_of_tokens_reach_the_model(family: str, tiny_tokenizer: BertTokenizer, tmp_path: Path) -> None:
    """Pairs of a family that has types of tokens, against plain transformers."""
    import onnxruntime
    import openvino
    import torch

    model, inputs = made(family, tiny_tokenizer), (*INPUTS, "token_type_ids")
    with quiet(), without_telemetry():
        program = captured(model, inputs)
        write_onnx(program, tmp_path, inputs)
        write_openvino(converted(program, family, inputs), tmp_path)
    onnx = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    vino = openvino.compile_model(tmp_path / "openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ids = np.random.default_rng(0).integers(10, len(tiny_tokenizer), (2, 9))
    for second in (3, 7):
        types = (np.arange(9) >= second).astype(np.int64)[None].repeat(2, axis=0)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": types}
        with torch.inference_mode():
            expected = model(**{name: torch.from_numpy(value) for name, value in given.items()}).logits.numpy()
        np.testing.assert_allclose(onnx.run(None, given)[0], expected, atol=2e-5)
        np.testing.assert_allclose(vino(given)["logits"], expected, atol=2e-5)


def test_products_that_narrow() -> None:
    """Of a feed-forward block the second product, written either way, and the head; not those of equal sides."""
    from onnx import TensorProto, helper

    shapes = {"wide": (4, 16), "narrow": (16, 4), "square": (4, 4), "turned": (4, 16), "head": (4, 3)}
    weights = [
        helper.make_tensor(f"w_{name}", TensorProto.FLOAT, shape, [0.0] * int(np.prod(shape)))
        for name, shape in shapes.items()
    ]
    nodes = [helper.make_node("MatMul", ["x", f"w_{name}"], [name], name=name) for name in shapes if name != "turned"]
    nodes.append(helper.make_node("Gemm", ["x", "w_turned"], ["turned"], name="turned", transB=1))
    nodes.append(helper.make_node("MatMul", ["x", "y"], ["scores"], name="scores"))
    graph = helper.make_graph(nodes, "products", [], [], weights)
    assert sorted(narrowing(helper.make_model(graph))) == ["head", "narrow", "turned"]
