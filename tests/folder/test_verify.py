"""Verification: a folder as it was saved passes in a fresh process, and nothing that changes predictions does."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from emotune.folder.check import check
from emotune.folder.format import sha256
from emotune.folder.verification import Verification
from emotune.folder.verify import in_words, verify
from emotune.system.errors import ArtifactError, VerificationError

if TYPE_CHECKING:
    from ..conftest import Run

WEIGHTS = "adapter_model.safetensors"
PREDICTIONS, KEPT = "predictions.parquet", "quantization.parquet"


@pytest.fixture
def folder(tiny_run: Run, tmp_path: Path) -> Path:
    """A copy of a run's folder that a test may change."""
    return Path(shutil.copytree(tiny_run.result.folder, tmp_path / "copy"))


def test_a_folder_as_it_was_saved_passes(folder: Path, hub_named_bert: Path) -> None:
    found = check(folder, hub_named_bert)
    assert found.ok
    assert found.rows == 36 + 8  # the test rows, and the texts that every folder holds
    assert found.largest_difference <= 1e-5
    assert (found.changed_labels, found.changed_files) == (0, ())


def test_a_folder_without_test_rows_passes(tiny_saved: Path, tiny_bert: Path) -> None:
    assert check(tiny_saved, tiny_bert).ok
    assert check(tiny_saved, tiny_bert).rows == 8


def test_a_sample_of_the_test_rows(folder: Path, hub_named_bert: Path) -> None:
    found = check(folder, hub_named_bert, 10)
    assert (found.rows, found.test_rows) == (10 + 8, 36)
    assert found.ok
    assert check(folder, hub_named_bert, 36).rows == 36 + 8
    # The rows are drawn, and compared with their own predictions.
    table = pq.read_table(folder / PREDICTIONS)
    flipped = ["joy" if label != "joy" else "fear" for label in table["prediction"].to_pylist()]
    pq.write_table(table.set_column(2, "prediction", pa.array(flipped)), folder / PREDICTIONS)
    assert check(folder, hub_named_bert, 10).changed_labels == 10


def test_verify_asks_a_fresh_process(tiny_run: Run) -> None:
    """The run's own verification, which goes through a process of its own."""
    found = tiny_run.result.verification
    assert found.ok
    assert (found.rows, found.changed_labels, found.changed_files) == (36 + 8, 0, ())


def scale_weights(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({name: tensor * 1.05 for name, tensor in weights.items()}, folder / WEIGHTS, metadata={"format": "pt"})


def turn_one_number(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    name = next(name for name in weights if "classifier" in name and name.endswith("weight"))
    weights[name].view(-1)[0] += 1.0
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def change_rank_scale(folder: Path) -> None:
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": config["lora_alpha"] * 2}))


def change_predictions(column: str, value: str | float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        table = pq.read_table(folder / PREDICTIONS)
        values = table.column(column).to_pylist()
        values[0] = value
        columns = {name: table.column(name) for name in table.column_names} | {column: values}
        pq.write_table(pa.table(columns), folder / PREDICTIONS)

    return change


def other_words(folder: Path) -> None:
    state = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = state["model"]["vocab"]
    words = [word for word in vocabulary if len(word) == 4]
    ids = [vocabulary[word] for word in words]
    vocabulary.update(zip(words, ids[::-1], strict=True))
    (folder / "tokenizer.json").write_text(json.dumps(state))


@pytest.mark.parametrize(
    ("change", "file"),
    [
        (scale_weights, WEIGHTS),
        (turn_one_number, WEIGHTS),
        (change_rank_scale, "adapter_config.json"),
        (other_words, "tokenizer.json"),
        (change_predictions("prediction", "no such label"), PREDICTIONS),
        (change_predictions("p_joy", 0.5), PREDICTIONS),
        (change_predictions("text", "some other words than these"), PREDICTIONS),
    ],
)
def test_predictions_that_differ_are_found(
    folder: Path, hub_named_bert: Path, change: Callable[[Path], None], file: str
) -> None:
    change(folder)
    found = check(folder, hub_named_bert)
    assert not found.ok
    assert found.changed_files == (file,)
    assert found.changed_labels or found.largest_difference > found.tolerance


def test_numbers_are_compared_and_not_only_checksums(folder: Path, hub_named_bert: Path) -> None:
    """Whoever changes weights and writes the new checksum down as well is found by the logits."""
    import hashlib

    turn_one_number(folder)
    description = json.loads((folder / "emotune.json").read_text())
    description["files"][WEIGHTS] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    (folder / "emotune.json").write_text(json.dumps(description))
    found = check(folder, hub_named_bert)
    assert found.changed_files == ()
    assert found.largest_difference > found.tolerance
    assert not found.ok


def sign_again(folder: Path, file: str = PREDICTIONS) -> None:
    """Write the checksum of a changed file down, as if it had been saved so."""
    description = json.loads((folder / "emotune.json").read_text())
    description["files"][file] = sha256(folder / file)
    (folder / "emotune.json").write_text(json.dumps(description))


@pytest.mark.parametrize("column", ["p_joy", "p_surprise"])
def test_a_probability_that_is_not_a_number_fails(folder: Path, hub_named_bert: Path, column: str) -> None:
    change_predictions(column, float("nan"))(folder)
    sign_again(folder)
    found = check(folder, hub_named_bert)
    assert not found.ok
    assert found.largest_difference == math.inf
    assert found.changed_files == ()
    assert found.probe_difference <= found.tolerance  # the model itself is as it was
    assert "the largest difference is inf" in in_words(found, folder)


def test_what_is_not_a_number_hides_no_other_difference(folder: Path, hub_named_bert: Path) -> None:
    change_predictions("p_joy", float("nan"))(folder)
    change_predictions("prediction", "no such label")(folder)
    sign_again(folder)
    turn_one_number(folder)
    sign_again(folder, WEIGHTS)
    found = check(folder, hub_named_bert)
    assert found.changed_labels >= 1
    assert math.inf > found.probe_difference > found.tolerance


def test_weights_that_are_not_numbers_are_found(folder: Path, hub_named_bert: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({name: torch.full_like(tensor, float("nan")) for name, tensor in weights.items()}, folder / WEIGHTS)
    assert not check(folder, hub_named_bert).ok


def test_a_change_without_effect_is_still_a_change(folder: Path, hub_named_bert: Path) -> None:
    with (folder / "config.json").open("a") as file:
        file.write("\n")
    found = check(folder, hub_named_bert)
    assert found.changed_files == ("config.json",)
    assert found.largest_difference <= found.tolerance
    assert not found.ok


def test_predictions_that_are_gone_are_found(folder: Path, hub_named_bert: Path) -> None:
    (folder / PREDICTIONS).unlink()
    found = check(folder, hub_named_bert)
    assert (found.changed_files, found.missing_files) == ((), (PREDICTIONS,))
    assert found.probe_difference <= found.tolerance
    assert not found.ok


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a parquet file at all"])
def test_predictions_that_cannot_be_read_are_damage(folder: Path, hub_named_bert: Path, content: bytes) -> None:
    (folder / PREDICTIONS).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{PREDICTIONS}' is damaged"):
        check(folder, hub_named_bert)


def test_predictions_that_lack_a_column_are_damage(folder: Path, hub_named_bert: Path) -> None:
    table = pq.read_table(folder / PREDICTIONS).drop_columns(["p_joy"])
    pq.write_table(table, folder / PREDICTIONS)
    with pytest.raises(ArtifactError, match=f"{PREDICTIONS}' has no column 'p_joy'"):
        check(folder, hub_named_bert)


class TestVerify:
    """The same through the fresh process: what it finds comes back as the right error."""

    @pytest.mark.slow
    def test_a_difference_is_an_error_that_says_how_large(self, folder: Path, hub_named_bert: Path) -> None:
        scale_weights(folder)
        with pytest.raises(VerificationError) as raised:
            verify(folder, base=hub_named_bert)
        message = str(raised.value)
        assert "its logits are not those it was saved with" in message
        assert "Over 44 texts the largest difference is" in message
        assert f"changed files: {WEIGHTS}" in message
        assert "Do not use this folder" in message
        assert raised.value.exit_code == 1

    @pytest.mark.slow
    def test_predictions_that_are_gone_are_not_held_against_the_model(self, folder: Path, hub_named_bert: Path) -> None:
        (folder / PREDICTIONS).unlink()
        with pytest.raises(VerificationError) as raised:
            verify(folder, base=hub_named_bert)
        first, second, third = str(raised.value).splitlines()
        assert first == f"'{folder}' has changed since it was saved: missing files: {PREDICTIONS}."
        assert second.startswith("The model's files are unchanged, and its logits are those it was saved with: ")
        assert third.startswith(f"The model can be used. Restore {PREDICTIONS}")
        assert raised.value.exit_code == 1

    @pytest.mark.slow
    def test_damage_is_an_error_without_a_traceback(self, folder: Path, hub_named_bert: Path) -> None:
        (folder / "emotune.json").write_text("{")
        with pytest.raises(ArtifactError, match=r"emotune\.json' is damaged") as raised:
            verify(folder, base=hub_named_bert)
        assert "Traceback" not in str(raised.value)
        assert raised.value.exit_code == 2

    @pytest.mark.parametrize(
        ("returncode", "stdout", "error"),
        [
            (2, "progress\nThe folder is damaged.\n", ArtifactError),
            (1, "", VerificationError),
            (-9, "", VerificationError),  # killed: a machine without enough memory
        ],
    )
    def test_however_the_process_ends(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, returncode: int, stdout: str, error: type[Exception]
    ) -> None:
        done = subprocess.CompletedProcess([], returncode, stdout, "the end of its story")
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
        with pytest.raises(error, match="The folder is damaged" if returncode == 2 else "the end of its story"):
            verify(tmp_path)


@pytest.mark.parametrize(
    ("changes", "ok"),
    [
        ({}, True),
        ({"largest_difference": 1e-4}, True),
        ({"largest_difference": 1.1e-4}, False),
        ({"largest_difference": float("nan")}, False),
        ({"changed_labels": 1}, False),
        ({"changed_files": ("config.json",)}, False),
        ({"missing_files": (PREDICTIONS,)}, False),
    ],
)
def test_what_passes(changes: dict[str, object], ok: bool) -> None:
    good: dict[str, object] = {
        "rows": 8,
        "largest_difference": 0.0,
        "tolerance": 1e-4,
        "changed_labels": 0,
        "changed_files": (),
    }
    assert Verification(**(good | changes)).ok is ok  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "files", "logits", "remedy"),
    [
        ({"changed_files": (PREDICTIONS,), "changed_labels": 3}, "unchanged", "are those", "The model can be used"),
        ({"missing_files": (KEPT,)}, "unchanged", "are those", "before it is computed in int8"),
        ({"changed_files": (WEIGHTS,), "probe_difference": 0.5}, "changed", "are not those", "Do not use"),
        ({"changed_files": (WEIGHTS,)}, "changed", "are those", "Do not use"),
        ({"probe_difference": 0.5}, "unchanged", "are not those", "Do not use"),
        (
            {"probe_difference": float("nan"), "missing_files": (PREDICTIONS,)},
            "unchanged",
            "are not those",
            "Do not use",
        ),
        ({"changed_labels": 3}, "unchanged", "are those", "Do not use"),  # by predictions that are as they were saved
    ],
)
def test_what_is_said_is_true_of_each_part(changes: dict[str, object], files: str, logits: str, remedy: str) -> None:
    good = {"rows": 44, "largest_difference": 0.0, "tolerance": 1e-4, "changed_labels": 0, "changed_files": ()}
    found = Verification(**({**good, "largest_difference": changes.get("probe_difference", 0.0)} | changes))  # type: ignore[arg-type]
    message = in_words(found, "tuned")
    assert f"The model's files are {files}" in message
    assert f"its logits {logits} it was saved with" in message
    assert remedy in message
    assert ("3 labels" in message) == (found.changed_labels == 3)
    assert len(message.splitlines()) == 3
