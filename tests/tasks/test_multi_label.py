"""Several labels per row: scores against scikit-learn, the loss against PyTorch, thresholds, statistics, files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn import metrics as reference
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

import emotune
from emotune.cli import app
from emotune.data.load import load_data, load_split
from emotune.evaluation.baselines import majority_class
from emotune.evaluation.saved import read_evaluation, write_evaluation
from emotune.folder.base import load_base
from emotune.statistics.paired import mcnemar
from emotune.statistics.several import several_statistics
from emotune.system.errors import ConfigError, DataError
from emotune.tasks.multi_baselines import _fit_sigmoids
from emotune.tasks.multi_label import MULTI_LABEL, positive_weights
from emotune.tasks.multi_scores import macro_f1_of
from emotune.tasks.single_label import SINGLE_LABEL
from emotune.tasks.thresholds import one_threshold, thresholds_by_label
from emotune.training.options import TrainingOptions

from ..data.test_several import made_up

LABELS = tuple(f"emotion {number}" for number in range(28))


def drawn(rows: int = 600, seed: int = 0) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return targets and logits with the shares of rare and common labels of GoEmotions, and rows without labels."""
    rng = np.random.default_rng(seed)
    shares = np.geomspace(0.3, 0.01, len(LABELS))
    truth = (rng.random((rows, len(LABELS))) < shares).astype(np.int8)
    logits = rng.normal(0, 1.5, truth.shape) + 3 * truth + np.log(shares / (1 - shares)) / 2
    return truth, logits.astype(np.float32)


def test_scores_are_those_of_scikit_learn() -> None:
    truth, logits = drawn()
    predictions, probabilities = MULTI_LABEL.decide(logits), MULTI_LABEL.probabilities(logits)
    np.testing.assert_allclose(probabilities, torch.from_numpy(logits).double().sigmoid().numpy(), rtol=1e-12)
    found = MULTI_LABEL.score(truth, predictions, probabilities, LABELS)
    for average in ("micro", "macro"):
        scores = reference.precision_recall_fscore_support(truth, predictions, average=average, zero_division=0)
        for name, value in zip(("precision", "recall", "f1"), scores, strict=False):
            assert getattr(found, f"{average}_{name}") == pytest.approx(value, abs=1e-12)
    assert found.weighted_f1 == pytest.approx(reference.f1_score(truth, predictions, average="weighted"))
    assert found.samples_f1 == pytest.approx(reference.f1_score(truth, predictions, average="samples", zero_division=1))
    assert found.jaccard == pytest.approx(
        reference.jaccard_score(truth, predictions, average="samples", zero_division=1)
    )
    assert found.subset_accuracy == pytest.approx(reference.accuracy_score(truth, predictions))
    assert found.hamming_loss == pytest.approx(reference.hamming_loss(truth, predictions))
    assert found.average_precision == pytest.approx(reference.average_precision_score(truth, probabilities))
    losses = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(logits).double(), torch.from_numpy(truth).double()
    )
    assert found.loss == pytest.approx(float(losses))
    for at, label in enumerate(LABELS):
        own = reference.precision_recall_fscore_support(
            truth[:, at], predictions[:, at], average="binary", zero_division=0
        )
        assert (found.per_class[label].precision, found.per_class[label].recall, found.per_class[label].f1) == own[:3]
        assert found.per_class[label].support == truth[:, at].sum()
    assert macro_f1_of(truth, predictions) == pytest.approx(found.macro_f1)
    assert "accuracy" not in found.named()


def test_the_loss_is_that_of_transformers_per_row() -> None:
    truth, logits = drawn(40)
    loss = MULTI_LABEL.loss(TrainingOptions(), truth, LABELS, "cpu")
    tensors = torch.from_numpy(logits), torch.from_numpy(truth)
    expected = torch.nn.BCEWithLogitsLoss()(tensors[0], tensors[1].float()) * len(truth)
    torch.testing.assert_close(loss(*tensors), expected)


def test_balanced_weights_give_both_sides_of_a_label_the_same_weight() -> None:
    truth, _ = drawn()
    weights = positive_weights("balanced", truth)
    assert weights is not None
    np.testing.assert_allclose(weights * truth.sum(axis=0), len(truth) - truth.sum(axis=0))
    np.testing.assert_allclose(positive_weights("sqrt", truth), np.sqrt(weights))  # type: ignore[arg-type]
    assert positive_weights("none", truth) is None


@pytest.mark.parametrize("options", [{"logit_adjustment": 1.0}, {"label_smoothing": 0.1}, {"sampling": "balanced"}])
def test_options_about_one_label_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"training.{next(iter(options))} is .*multi-label"):
        MULTI_LABEL.check_options(TrainingOptions(**options), drawn()[0])


def test_the_threshold_is_the_best_of_all() -> None:
    truth, logits = drawn()
    probabilities = MULTI_LABEL.probabilities(logits)
    grid = np.arange(1, 100) / 100
    scores = [reference.f1_score(truth, probabilities >= value, average="macro", zero_division=0) for value in grid]
    found = one_threshold(truth, probabilities)
    assert scores[int(np.flatnonzero(grid == found)[0])] == pytest.approx(max(scores))
    by_label = thresholds_by_label(truth, probabilities)
    for at, value in enumerate(by_label):
        own = [reference.f1_score(truth[:, at], probabilities[:, at] >= tried, zero_division=0) for tried in grid]
        if truth[:, at].sum() >= 10:
            assert own[int(np.flatnonzero(grid == value)[0])] == pytest.approx(max(own))
        else:
            assert value == found


def test_answers_follow_the_thresholds() -> None:
    task = MULTI_LABEL.deciding([0.9, 0.1])
    probabilities = np.array([[0.8, 0.2], [0.95, 0.05], [0.5, 0.02]])
    names, confidence = task.answers(probabilities, ("a", "b"), 0.2)
    assert names == [None, "a", ""]
    np.testing.assert_allclose(confidence, [0.2 * 0.2, 0.95 * 0.95, 0.5 * 0.98])
    assert task.nested_answers(probabilities, ("a", "b")) == [["b"], ["a"], []]
    np.testing.assert_array_equal(
        task.decide(np.log(probabilities / (1 - probabilities))), task.decide_by(probabilities)
    )


def test_rows_of_a_file_that_contradict_their_probabilities_are_found() -> None:
    probabilities = np.array([[0.8, 0.2], [0.6, 0.7], [1.2, 0.1]])
    predictions = np.array([[1, 1], [1, 1], [1, 0]], dtype=np.int8)
    assert set(MULTI_LABEL.wrong_rows(predictions, probabilities, ("a", "b"))) == {2}
    wrong = MULTI_LABEL.wrong_rows(predictions[:2], probabilities[:2], ("a", "b"))
    assert wrong == {0: "the prediction is 'a, b', and its probabilities say 'a'"}
    assert MULTI_LABEL.read_names([["b"], []], ("a", "b")).tolist() == [[0, 1], [0, 0]]
    with pytest.raises(ValueError, match="1"):
        MULTI_LABEL.read_names([["b"], ["c"]], ("a", "b"))


def test_statistics_of_two_models() -> None:
    truth, logits = drawn(400)
    first, second = MULTI_LABEL.decide(logits - 1), MULTI_LABEL.decide(logits)
    labels = LABELS
    found = several_statistics(truth, first, second, labels, draws=200)
    micro = [reference.f1_score(truth, part, average="micro") for part in (first, second)]
    assert found.micro_f1 is not None
    assert found.micro_f1.estimate == found.micro_f1_difference == pytest.approx(micro[1] - micro[0])
    assert found.micro_f1.low < found.micro_f1.estimate < found.micro_f1.high
    change = found.per_class[labels[0]]
    was, now = first[:, 0] == truth[:, 0], second[:, 0] == truth[:, 0]
    assert change.p_value == mcnemar(int((~was & now).sum()), int((was & ~now).sum()))[1]
    assert change.adjusted_p >= change.p_value
    assert found.macro_f1 is None
    assert "fewer than 10" in found.macro_f1_withheld
    common = several_statistics(truth[:, :8], first[:, :8], second[:, :8], labels[:8], draws=200)
    macro = [reference.f1_score(truth[:, :8], part[:, :8], average="macro") for part in (first, second)]
    assert common.macro_f1 is not None
    assert common.macro_f1.estimate == pytest.approx(macro[1] - macro[0])
    same = several_statistics(truth, first, first, labels, draws=50)
    assert (same.micro_f1, same.macro_f1) == (None, None)
    assert "0 rows changed" in same.macro_f1_withheld


def test_the_interval_is_that_of_a_plain_bootstrap() -> None:
    truth, logits = drawn(200, seed=1)
    truth, logits = truth[:, :4], logits[:, :4]
    first, second = MULTI_LABEL.decide(logits - 1), MULTI_LABEL.decide(logits)
    found = several_statistics(truth, first, second, LABELS[:4], draws=2000)
    rng = np.random.default_rng(5)
    plain = []
    for _ in range(1000):
        rows = rng.integers(0, len(truth), len(truth))
        plain.append(macro_f1_of(truth[rows], second[rows]) - macro_f1_of(truth[rows], first[rows]))
    assert found.macro_f1 is not None
    np.testing.assert_allclose(
        [found.macro_f1.low, found.macro_f1.high], np.quantile(plain, [0.025, 0.975]), atol=0.012
    )


def test_evaluations_of_other_rows_are_not_compared() -> None:
    data = load_data(made_up(60))
    baseline = majority_class(data.train, data.test, data.validation)
    changed = replace(data.test, label_ids=1 - data.test.label_ids)
    for other, message in (
        (changed, "of them under another label"),
        (data.test.take(np.arange(len(data.test))[::-1]), "in another order"),
    ):
        with pytest.raises(DataError, match=message):
            emotune.compare(baseline, majority_class(data.train, other, data.validation))


@pytest.mark.slow
def test_trains_saves_loads_and_equals_plain_transformers(
    tiny_bert: Path, tiny_options: TrainingOptions, tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    data = load_data(made_up(240), validation_size=0.2, test_size=0.2)
    base = load_base(tiny_bert, labels=data.labels, task=data.task, max_length=32)
    tuned = emotune.finetune(base, data, options=tiny_options)
    scored = emotune.evaluate(tuned, data.test)
    folder = tuned.save(tmp_path / "saved")
    assert emotune.verify(folder, base=tiny_bert).ok
    write_evaluation(scored, tmp_path / "scored.csv", ".csv")
    read = load_split(
        tmp_path / "scored.csv", labels=data.labels, label_separator=",", label_column="label", task=MULTI_LABEL
    )
    np.testing.assert_array_equal(read.label_ids, data.test.label_ids)
    loaded = emotune.load(folder, base=tiny_bert)
    assert loaded.task == tuned.task
    merged = tuned.method.merge(loaded.model)
    merged.save_pretrained(tmp_path / "merged")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged")
    assert plain.config.problem_type == "multi_label_classification"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer(list(data.test.texts), padding=True, truncation=True, max_length=32, return_tensors="pt")
    with torch.no_grad():
        logits = plain.eval()(**encoded).logits.numpy()
    assert scored.logits is not None
    np.testing.assert_allclose(scored.logits, logits, atol=2e-5)
    predicted = emotune.predict(loaded, list(data.test.texts), precision="fp32")
    assert predicted.labels == tuned.task.names(scored.predictions, data.labels)
    comparison = emotune.compare(emotune.evaluate(base, data.test), scored)
    assert "Macro-F1 is " in str(comparison)
    assert "subset accuracy" in str(comparison)


@pytest.mark.slow
def test_a_run(tiny_bert: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(map(json.dumps, made_up(240))))
    arguments = [
        "--model",
        str(tiny_bert),
        "--epochs",
        "2",
        "--learning-rate",
        "0.003",
        "--set",
        "training.thresholds=per-label",
    ]
    output = tmp_path / "tuned"
    result = CliRunner().invoke(app, ["run", "--data", str(rows), *arguments, "--output", str(output)])
    assert result.exit_code == 0, result.output
    saved = json.loads((output / "emotune.json").read_text())
    assert len(saved["thresholds"]) == 3
    assert saved["metrics"]["after"]["macro_f1"] == read_evaluation(output).metrics.macro_f1
    assert "accuracy" not in saved["metrics"]["after"]
    card, page = (output / "README.md").read_text(), (output / "report.html").read_text()
    for text in (card, page):
        assert f"{saved['metrics']['after']['macro_f1']:.4f}" in text
        assert "{" not in text.partition("</style>")[2]
    assert page.count("<table") == page.count('<div class="scroll"><table')  # a wide one scrolls by itself
    again = emotune.load(output, base=tiny_bert)
    assert again.task.thresholds == tuple(saved["thresholds"])
    scored = emotune.evaluate(again, read_evaluation(output).split)
    np.testing.assert_array_equal(scored.predictions, read_evaluation(output).predictions)
    refused = CliRunner().invoke(
        app, ["run", "--data", str(rows), *arguments, "--margin", "1", "--output", str(tmp_path / "no")]
    )
    assert refused.exit_code == 2
    assert "baselines.margin is 1.0" in refused.stderr
    assert not (tmp_path / "no").exists()


def test_thresholds_are_refused_where_rows_have_one_label() -> None:
    with pytest.raises(ConfigError, match="one label per row"):
        SINGLE_LABEL.check_options(TrainingOptions(thresholds="half"), np.arange(2))


def test_baselines_learn_what_words_say() -> None:
    data = load_data(made_up(240), validation_size=0.2, test_size=0.2)
    words = MULTI_LABEL.words(data.train, data.validation, data.test)
    assert macro_f1_of(data.test.label_ids, words.predictions) > 0.95
    constant = MULTI_LABEL.commonest(data.train, len(data.test), data.validation)
    assert constant.predictions.all()
    rng = np.random.default_rng(0)

    def features(split: Any) -> NDArray[np.float32]:
        noise = rng.normal(size=(2, len(split), 8))
        noise[1, :, :3] += 6 * split.label_ids
        return noise.astype(np.float32)

    probe = MULTI_LABEL.probe(data.train, data.validation, features(data.train), features(data.validation))
    assert probe.states == (1,)
    assert macro_f1_of(data.validation.label_ids, probe.validated) > 0.9
    table = np.random.default_rng(1).normal(size=(90, 4)).astype(np.float32)
    targets = (table[:, :2] + rng.normal(size=(90, 2)) > 0).astype(np.int8)
    linear = _fit_sigmoids(table, targets, 0.1)
    scaled = (table - table.mean(axis=0)) / table.std(axis=0)
    for at in range(2):
        fitted = LogisticRegression(C=0.1, tol=1e-8).fit(scaled, targets[:, at])
        np.testing.assert_allclose(linear.logits(table)[:, at], fitted.decision_function(scaled), atol=2e-3)
