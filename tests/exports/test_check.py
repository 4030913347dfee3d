"""The comparison of an export with the original: what passes, what is refused, and the fresh process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emotune.data.dataset import Split
from emotune.exports.check import Agreement, compared, fresh_logits
from emotune.exports.formats import ExportOptions
from emotune.system.errors import VerificationError

LABELS = ("no", "yes")
FP32 = ExportOptions(to="onnx")
INT8 = ExportOptions(to="onnx", precision="int8")


def of_rows(rows: int) -> tuple[Split, NDArray[np.float32]]:
    """Rows of which the original gets every one right."""
    truth = np.arange(rows, dtype=np.int64) % 2
    split = Split("test", tuple(f"text {row}" for row in range(rows)), truth, LABELS)
    return split, np.column_stack([1.0 - truth, truth]).astype(np.float32)


def with_wrong(rows: int, wrong: int, options: ExportOptions) -> Agreement:
    """An export that gets some of them wrong; in fp32 these are so near a tie that rounding changes them."""
    split, before = of_rows(rows)
    before[:wrong] *= 1e-4 if options is FP32 else 1
    after = before.copy()
    after[:wrong] = after[:wrong, ::-1]
    return compared(split, before, after, options)


def test_the_figures() -> None:
    found = with_wrong(1000, 3, INT8)
    figures = found.figures()
    assert figures["rows"] == 1000
    assert figures["changed_labels"] == 3
    assert figures["label_agreement"] == pytest.approx(0.997)
    assert figures["largest_logit_difference"] == 1.0
    assert (figures["accuracy_before"], figures["accuracy_after"]) == (1.0, pytest.approx(0.997))
    assert found.lost == pytest.approx(0.003)
    assert "0.5 points" in found.sentence


def test_without_a_changed_label_nothing_is_left_to_test() -> None:
    split, before = of_rows(36)
    found = compared(split, before, before + np.float32(1e-6), FP32)
    found.refuse(FP32)
    assert found.sentence == "Every label is the original's, so the accuracy is the same."


@pytest.mark.parametrize(
    ("rows", "wrong", "passes"), [(1000, 1, True), (1000, 2, False), (36, 0, True), (36, 1, False)]
)
def test_fp32_keeps_999_of_1000_labels(rows: int, wrong: int, passes: bool) -> None:
    found = with_wrong(rows, wrong, FP32)
    if passes:
        found.refuse(FP32)
        return
    with pytest.raises(VerificationError, match=r"99\.9 %") as caught:
        found.refuse(FP32)
    assert caught.value.exit_code == 1
    assert f"{rows:,} rows {wrong} get another label" in str(caught.value)


@pytest.mark.parametrize(("scale", "passes"), [(0.9, True), (1.1, False)])
@pytest.mark.parametrize("largest", [0.5, 1.0, 20.0])
def test_fp32_keeps_logits_although_every_label_is_the_same(largest: float, scale: float, passes: bool) -> None:
    """A sample of a tiny model keeps its labels although an input is missing; its logits show it."""
    split, before = of_rows(36)
    before *= np.float32(largest)
    shift = np.float32(scale * 1e-3 * max(1.0, largest))
    found = compared(split, before, before + shift, FP32)
    assert found.changed_labels == 0
    if passes:
        found.refuse(FP32)
        return
    with pytest.raises(VerificationError, match="no logit may differ by more than") as caught:
        found.refuse(FP32)
    assert caught.value.exit_code == 1
    compared(split, before, before + shift, INT8).refuse(INT8)


@pytest.mark.parametrize(
    ("rows", "wrong", "passes"), [(1000, 5, True), (1000, 6, False), (36, 0, True), (36, 1, False)]
)
def test_int8_may_lose_the_margin(rows: int, wrong: int, passes: bool) -> None:
    found = with_wrong(rows, wrong, INT8)
    if passes:
        found.refuse(INT8)
        return
    with pytest.raises(VerificationError, match=r"0\.5 points.*Nothing was written") as caught:
        found.refuse(INT8)
    assert "--margin" in str(caught.value)


def test_int8_may_change_labels_in_both_directions() -> None:
    """As many right as wrong labels changed: the accuracy is what counts."""
    split, before = of_rows(1000)
    before[:20] = before[:20, ::-1]
    after = before.copy()
    after[:40] = after[:40, ::-1]
    found = compared(split, before, after, INT8)
    assert found.changed_labels == 40
    found.refuse(INT8)
    with pytest.raises(VerificationError):
        found.refuse(FP32)


def test_a_point_estimate_within_the_margin_passes_although_few_rows_show_nothing() -> None:
    split, before = of_rows(36)
    before[:1] = before[:1, ::-1]
    after = before.copy()
    after[:2] = after[:2, ::-1]
    found = compared(split, before, after, INT8)
    found.refuse(INT8)
    assert not found.test.is_not_worse
    assert found.sentence.startswith("Not shown")


def test_logits_that_are_not_numbers() -> None:
    split, before = of_rows(10)
    after = before.copy()
    after[3, 0] = np.nan
    with pytest.raises(VerificationError, match=r"1 row of 10 logits that are not finite"):
        compared(split, before, after, FP32)


def test_logits_of_another_shape() -> None:
    split, before = of_rows(10)
    with pytest.raises(VerificationError, match=r"\(10, 3\).*\(10, 2\)"):
        compared(split, before, np.zeros((10, 3), dtype=np.float32), FP32)


SCRIPT = """
import sys
import numpy as np
assert __name__ == "export"
def logits(texts):
    assert len(texts) <= 32
    assert [len(text) for text in texts] == sorted((len(text) for text in texts), reverse=True)
    return np.array([[len(text), int(text.split()[0])] for text in texts])
"""


def test_a_fresh_process_gives_the_logits_in_the_order_of_the_texts(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(SCRIPT, encoding="utf-8")
    texts = [f"{row} " + "é" * (row * 37 % 50) for row in range(100)]
    lengths = np.array([len(text) for text in texts])
    found = fresh_logits(tmp_path, texts, lengths)
    np.testing.assert_array_equal(found, np.array([[len(text), row] for row, text in enumerate(texts)]))


@pytest.mark.parametrize("module", ["emotune", "peft"])
def test_a_script_that_needs_emotune_fails(module: str, tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(f"import {module}\n", encoding="utf-8")
    with pytest.raises(VerificationError, match=f"nothing was written(.|\n)*import of {module} halted"):
        fresh_logits(tmp_path, ["a text"], np.array([2]))
