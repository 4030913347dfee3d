"""The rule that every text gets at least one label: decisions, thresholds chosen with it, refusals, and a whole run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from typer.testing import CliRunner

import emotune
from emotune.cli import app
from emotune.data.dataset import TextDataset
from emotune.data.load import load_data
from emotune.evaluation.saved import read_evaluation
from emotune.folder.base import load_base
from emotune.system.errors import ConfigError
from emotune.tasks.multi_label import MULTI_LABEL
from emotune.tasks.single_label import SINGLE_LABEL
from emotune.tasks.thresholds import decided, one_threshold, thresholds_by_label
from emotune.training.options import TrainingOptions

from ..data.test_several import WORDS, made_up

GRID = np.arange(1, 100) / 100
ALWAYS = TrainingOptions(at_least_one=True)


def drawn(rows: int = 300, labels: int = 5, seed: int = 0) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Return targets with a label in every row, and noisy probabilities of them."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((rows, labels)) < np.linspace(0.3, 0.05, labels)).astype(np.int8)
    truth[np.arange(rows), rng.integers(labels, size=rows)] = 1
    return truth, 1 / (1 + np.exp(-rng.normal(2 * truth - 4, 1.5)))


def by_hand(probabilities: NDArray[np.float64], thresholds: list[float]) -> NDArray[np.int8]:
    found = np.zeros(probabilities.shape, dtype=np.int8)
    for row, values in enumerate(probabilities):
        chosen = [at for at, value in enumerate(values) if value >= thresholds[at]]
        for at in chosen or [max(range(len(values)), key=values.__getitem__)]:
            found[row, at] = 1
    return found


def test_a_row_below_all_thresholds_gets_its_likeliest_label() -> None:
    _, probabilities = drawn()
    thresholds = [0.9, 0.8, 0.7, 0.6, 0.95]
    found = decided(probabilities, thresholds, at_least_one=True)
    np.testing.assert_array_equal(found, by_hand(probabilities, thresholds))
    assert (found.sum(axis=1) >= 1).all()
    assert not decided(probabilities, thresholds, at_least_one=False).any(axis=1).all()
    task = MULTI_LABEL.answering(at_least_one=True).deciding(thresholds)
    assert (task.at_least_one, task.thresholds) == (True, tuple(thresholds))
    np.testing.assert_array_equal(task.decide(np.log(probabilities / (1 - probabilities))), found)
    assert not task.wrong_rows(found, probabilities, tuple("abcde"))
    assert len(task.wrong_rows(decided(probabilities, thresholds, at_least_one=False), probabilities, tuple("abcde")))


def test_one_threshold_is_the_best_with_the_rule() -> None:
    truth, probabilities = drawn()
    scores = [f1_score(truth, by_hand(probabilities, [value] * 5), average="macro", zero_division=0) for value in GRID]
    found = one_threshold(truth, probabilities, at_least_one=True)
    assert scores[int(np.flatnonzero(found == GRID)[0])] == pytest.approx(max(scores))


def test_thresholds_by_label_take_turns_with_the_rule() -> None:
    truth, probabilities = drawn()
    expected = [one_threshold(truth, probabilities, at_least_one=True)] * 5
    for at in range(5):
        scores = [
            f1_score(
                truth,
                by_hand(probabilities, [*expected[:at], value, *expected[at + 1 :]]),
                average="macro",
                zero_division=0,
            )
            for value in GRID
        ]
        best = np.flatnonzero(np.array(scores) >= max(scores) - 1e-12)
        expected[at] = float(GRID[best[np.abs(GRID[best] - 0.5).argmin()]])
    assert thresholds_by_label(truth, probabilities, at_least_one=True) == pytest.approx(expected)


def test_it_is_refused_where_it_forbids_the_right_answer() -> None:
    targets = np.array([[1, 0], [0, 0], [0, 1]], dtype=np.int8)
    with pytest.raises(ConfigError, match=r"1 training row of 3 has no label.*--drop-unlabelled"):
        MULTI_LABEL.check_options(ALWAYS, targets)
    MULTI_LABEL.check_options(ALWAYS, targets[::2])
    with pytest.raises(ConfigError, match="one label per row"):
        SINGLE_LABEL.check_options(ALWAYS, np.arange(2))


def with_labels() -> TextDataset:
    rows = [row for row in made_up(300) if row["labels"]]
    return load_data(rows, validation_size=0.2, test_size=0.2)


def test_baselines_follow_the_rule() -> None:
    data = with_labels()
    task = data.task.answering(at_least_one=True)
    assert data.with_task(task).test.task is task
    assert task.words(data.train, data.validation, data.test).predictions.any(axis=1).all()


@pytest.mark.slow
def test_a_run_keeps_the_rule(tiny_bert: Path, tmp_path: Path) -> None:
    rows = [row for row in made_up(300) if row["labels"]]
    # Some test rows repeat training rows, so that there is a comparison without them.
    parts = {"train": rows[:140], "validation": rows[140:180], "test": [*rows[:6], *rows[180:]]}
    source = tmp_path / "data"
    source.mkdir()
    for name, part in parts.items():
        (source / f"{name}.jsonl").write_text("\n".join(map(json.dumps, part)))
    output = tmp_path / "tuned"
    arguments = ["--model", str(tiny_bert), "--epochs", "2", "--at-least-one", "--set", "training.thresholds=per-label"]
    result = CliRunner().invoke(app, ["run", "--data", str(source), *arguments, "--output", str(output)])
    assert result.exit_code == 0, result.output
    assert "gets its likeliest one" in " ".join(result.output.split())
    saved = json.loads((output / "emotune.json").read_text())
    assert saved["at_least_one"] is True
    scored = read_evaluation(output)
    assert scored.predictions.any(axis=1).all()
    loaded = emotune.load(output, base=tiny_bert)
    assert loaded.task.at_least_one
    texts = ["nothing that was ever seen", *scored.split.texts[:3]]
    assert all(emotune.predict(loaded, texts, precision="fp32").labels)
    emotune.verify(output, base=tiny_bert)
    # Scores without the test rows that repeat a training row.
    others = np.flatnonzero(~np.isin(scored.split.texts, [row["text"] for row in parts["train"]]))
    without = saved["metrics"]["without_leaked_rows"]
    assert without["leaked"]["exact"] == 6
    kept = np.asarray(others[: without["rows"]]) if without["rows"] == len(others) else None
    if kept is not None:  # no near repeat leaks as well
        macro = f1_score(scored.split.label_ids[kept], scored.predictions[kept], average="macro", zero_division=0)
        assert without["after"]["macro_f1"] == pytest.approx(macro)
    assert "instead of" in (output / "report.html").read_text()
    # Calibration by label, in the folder and in predictions.
    assert saved["temperature"] is None or len(saved["temperature"]) == len(WORDS)
    assert set(saved["calibration"]["as_they_come"]) == set(WORDS)


def test_rows_without_labels_stop_a_run_before_training(tiny_bert: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(map(json.dumps, made_up(120))))
    output = tmp_path / "tuned"
    result = CliRunner().invoke(
        app, ["run", "--data", str(rows), "--model", str(tiny_bert), "--at-least-one", "--output", str(output)]
    )
    assert result.exit_code == 2
    assert "training.at_least_one is true" in result.stderr
    assert not output.exists()


def test_it_is_refused_before_a_model_of_one_label_is_loaded(tmp_path: Path) -> None:
    output = tmp_path / "tuned"
    result = CliRunner().invoke(
        app, ["run", "--data", "bundled:sample", "--model", "no-such-model", "--at-least-one", "--output", str(output)]
    )
    assert result.exit_code == 2
    assert "training.at_least_one is true, and this data has one label per row" in result.stderr
    assert not output.exists()


def test_finetune_refuses_it_too(tiny_bert: Path) -> None:
    data = load_data(made_up(120))
    base = load_base(tiny_bert, labels=data.labels, task=data.task, max_length=32)
    with pytest.raises(ConfigError, match="no label"):
        emotune.finetune(base, data, options=ALWAYS)
