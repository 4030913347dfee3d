"""Cross-validation from end to end: nothing is chosen on rows that are scored, and the folder works as others do."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, mean_absolute_error
from typer.testing import CliRunner

import emotune
from emotune.cli import app
from emotune.cross_validation import Scored, cross_validate, score_folds
from emotune.data.dataset import TextDataset
from emotune.data.load import load_data
from emotune.evaluation import frozen
from emotune.evaluation.finished_folds import fold_file, read_fold
from emotune.evaluation.frozen import FoldFeatures, frozen_features, known_features
from emotune.evaluation.saved import read_evaluation
from emotune.evaluation.words.folds import by_fold, folds_table
from emotune.evaluation.words.tables import plain_part
from emotune.folder.verify import verify
from emotune.methods.head import HeadOnly
from emotune.methods.lora import LoRA
from emotune.models.encoding import encode, encode_split, share_encoding
from emotune.pipeline import RunResult, run
from emotune.report.tables import comparison_table, render
from emotune.reproduction import reproduce
from emotune.settings.run import RunConfig
from emotune.system.errors import ConfigError, DataError, OutputError
from emotune.system.pairs import TextPair
from emotune.training import finetune as training
from emotune.training.finetune import finetune
from emotune.training.options import TrainingOptions

from .conftest import Recording, described
from .facts import facts, one_states, states

if TYPE_CHECKING:
    from emotune.models.classifier import Classifier


@pytest.fixture(scope="module")
def rows(tiny_data: TextDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data's training rows in one file, each with an author."""
    split = tiny_data.train
    lines = ["text,label,author"]
    lines += [
        f"{text},{split.labels[label]},author {row % 40}"
        for row, (text, label) in enumerate(zip(split.texts, split.label_ids, strict=True))
    ]
    file = tmp_path_factory.mktemp("rows") / "rows.csv"
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def folded(rows: Path, tiny_data: TextDataset) -> TextDataset:
    return load_data(rows, labels=tiny_data.labels, folds=3, fold_repeats=2, group_column="author")


@pytest.fixture(scope="module")
def options(tiny_options: TrainingOptions) -> TrainingOptions:
    return tiny_options.changed(epochs=4)


@pytest.fixture(scope="module")
def scored(tiny_base: Classifier, folded: TextDataset, options: TrainingOptions) -> tuple[Scored, list[TextDataset]]:
    """The scores of all folds, and the data that each training was given."""
    given: list[TextDataset] = []

    def watched(base: Any, data: TextDataset, *args: Any, **kwargs: Any) -> Any:
        given.append(data)
        return finetune(base, data, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "finetune", watched)
        return score_folds(tiny_base, folded, HeadOnly(), options, seed=7), given


@dataclass(frozen=True)
class Done:
    result: RunResult
    progress: Recording
    settings: dict[str, Any]

    @property
    def folder(self) -> Path:
        return self.result.folder


@pytest.fixture(scope="module")
def done(hub_named_bert: Path, rows: Path, tiny_data: TextDataset, tmp_path_factory: pytest.TempPathFactory) -> Done:
    settings: dict[str, Any] = {
        "model.name": str(hub_named_bert),
        "model.max_length": 32,
        "data.source": str(rows),
        "data.labels": list(tiny_data.labels),
        "data.group_column": "author",
        "data.folds": 3,
        "data.fold_repeats": 2,
        "training.epochs": 4,
        "training.learning_rate": 8e-3,
        "training.batch_tokens": 128,
        "training.precision": "fp32",
        "training.device": "cpu",
        "output.folder": str(tmp_path_factory.mktemp("folds") / "tuned"),
    }
    progress = Recording()
    return Done(run(RunConfig.load(overrides=settings), progress), progress, settings)


@pytest.mark.slow
class TestFolds:
    def test_nothing_is_chosen_on_scored_rows(
        self, scored: tuple[Scored, list[TextDataset]], folded: TextDataset
    ) -> None:
        found, given = scored
        folds = [fold for repeat in folded.folds for fold in repeat]
        assert len(given) == len(folds) == 6
        for data, fold in zip(given, folds, strict=True):
            seen = {*data.train.texts, *data.validation.texts}
            assert not seen & {folded.train.texts[row] for row in fold.scored}
            assert len(seen) + len(fold.scored) == len(set(folded.train.texts))
        records = found.study.records
        assert found.study.kept_epoch == int(median(record.kept for record in records) + 0.5)
        temperatures = [float(record.temperature) for record in records if isinstance(record.temperature, float)]
        assert found.temperature == median(temperatures)

    def test_scores_are_those_of_scikit_learn_in_every_fold(
        self, scored: tuple[Scored, list[TextDataset]], folded: TextDataset
    ) -> None:
        found, _ = scored
        for model in (found.comparison.before, found.comparison.after, *found.comparison.baselines):
            for number, fold in enumerate(folded.folds[0]):
                true, predicted = folded.train.label_ids[fold.scored], model.predictions[fold.scored]
                assert found.study.accuracy[model.name][0, number] == accuracy_score(true, predicted)
                assert found.study.macro_f1[model.name][0, number] == pytest.approx(
                    f1_score(true, predicted, average="macro", labels=range(6), zero_division=0)
                )
        assert len(found.comparison.after.predictions) == len(folded.train)

    def test_a_fold_is_what_finetune_and_evaluate_give(
        self,
        scored: tuple[Scored, list[TextDataset]],
        tiny_base: Classifier,
        folded: TextDataset,
        options: TrainingOptions,
    ) -> None:
        study = scored[0].study
        data = folded.of_fold(folded.folds[1][2])
        tuned = finetune(tiny_base, data, HeadOnly(), options, seed=8)  # the second repeat has the next seed
        alone = emotune.evaluate(tuned, data.test)
        assert study.accuracy["tuned"][1, 2] == alone.metrics.accuracy
        assert study.records[5].kept == tuned.training.best_epoch

    def test_from_python(self, tiny_base: Classifier, folded: TextDataset, options: TrainingOptions) -> None:
        found = cross_validate(
            tiny_base, replace(folded, folds=folded.folds[:1]), HeadOnly(), options.changed(epochs=1)
        )
        assert found.tuned.training.examples == len(folded.train)
        assert "Nadeau" in str(found.comparison)

    def test_data_without_folds_is_refused(self, tiny_base: Classifier, tiny_data: TextDataset) -> None:
        with pytest.raises(DataError, match=facts("no folds", "folds=5")):
            cross_validate(tiny_base, tiny_data, HeadOnly())


@pytest.mark.slow
class TestKeepEpoch:
    def test_gives_the_weights_of_that_epoch_of_a_usual_training(
        self, tiny_base: Classifier, tiny_data: TextDataset, options: TrainingOptions
    ) -> None:
        usual = finetune(tiny_base, tiny_data, LoRA(r=4), options, seed=3)
        kept = usual.training.best_epoch
        without = replace(tiny_data, validation=tiny_data.validation.take([]))
        fixed = finetune(tiny_base, without, LoRA(r=4), options, seed=3, keep_epoch=kept)
        expected = dict(usual.model.named_parameters())
        for name, parameter in fixed.model.named_parameters():
            assert (parameter == expected[name]).all(), name
        assert [epoch.number for epoch in fixed.training.epochs] == list(range(1, kept + 1))
        assert not fixed.training.is_validated
        assert not fixed.training.stopped_early

    def test_an_early_epoch_ends_there(
        self, tiny_base: Classifier, tiny_data: TextDataset, options: TrainingOptions
    ) -> None:
        fixed = finetune(tiny_base, tiny_data, HeadOnly(), options, keep_epoch=2)
        assert len(fixed.training.epochs) == fixed.training.best_epoch == 2

    def test_no_validation_rows_and_no_epoch_are_refused(
        self, tiny_base: Classifier, folded: TextDataset, options: TrainingOptions
    ) -> None:
        with pytest.raises(DataError, match=facts("no validation rows", "cross_validate")):
            finetune(tiny_base, folded, HeadOnly(), options)
        with pytest.raises(ConfigError, match=facts("keep_epoch is 5", "1 to 4")):
            finetune(tiny_base, folded, HeadOnly(), options, keep_epoch=5)


def test_parts_share_the_tokens_of_the_whole(tiny_base: Classifier, folded: TextDataset) -> None:
    fold = folded.folds[0][0]
    data = folded.of_fold(fold)
    parts = ((data.train, fold.train), (data.validation, fold.validation), (data.test, fold.scored))
    share_encoding(tiny_base.tokenizer, folded.train, parts, 8)
    for part, _ in parts:
        shared, fresh = encode_split(tiny_base.tokenizer, part, 8), encode(tiny_base.tokenizer, part.texts, 8)
        assert all(np.array_equal(one, other) for one, other in zip(shared.ids, fresh.ids, strict=True))
        assert np.array_equal(shared.lengths, fresh.lengths)
        assert (shared.truncated, shared.cut_rows) == (fresh.truncated, fresh.cut_rows)


def test_parts_of_pairs_keep_the_types_of_their_tokens(tiny_base: Classifier) -> None:
    pairs = [TextPair(f"a text {i}", f"another one {i} {i}") for i in range(4)]
    whole = encode(tiny_base.tokenizer, pairs, 32)
    part, fresh = whole.take([2, 0]), encode(tiny_base.tokenizer, [pairs[2], pairs[0]], 32)
    assert part.types is not None
    assert fresh.types is not None
    assert all(np.array_equal(one, other) for one, other in zip(part.types, fresh.types, strict=True))
    assert all(np.array_equal(one, other) for one, other in zip(part.ids, fresh.ids, strict=True))


@pytest.mark.slow
class TestRun:
    def test_shows_its_steps_and_folds(self, done: Done) -> None:
        said = "\n".join(done.progress.lines)
        assert states(said, "fold 3 of 3, repeat 2 of 2", "the median of the epochs")

    def test_the_verdict_counts_folds(self, done: Done) -> None:
        assert "mean of 6 folds" in done.result.verdict
        page = render(comparison_table(done.result.comparison))
        assert states(page, "Cross-validated", "Nadeau and Bengio", "Means over 6 folds")

    def test_the_table_is_that_of_the_study(self, done: Done) -> None:
        comparison = done.result.comparison
        assert comparison.folds is not None
        lines = folds_table(comparison).rows
        assert lines[0][2] == f"{comparison.folds.accuracy['tuned'].mean():.4f}"
        tfidf = next(place for place, line in enumerate(lines) if line[0] == "TF-IDF")
        difference = comparison.over_folds(next(b for b in comparison.baselines if b.name == "TF-IDF"))
        expected = 100 * (comparison.folds.macro_f1["tuned"] - comparison.folds.macro_f1["TF-IDF"]).mean()
        assert str(lines[tfidf + 1][3]).startswith(f"{expected:+.1f} (")
        assert difference.of_accuracy.freedom == 5
        assert len(by_fold(comparison).rows) == 6

    def test_emotune_json_says_that_scores_are_cross_validated(self, done: Done) -> None:
        found = described(done.folder)
        entry = found["cross_validation"]
        assert (entry["folds"], entry["repeats"]) == (3, 2)
        assert np.shape(entry["scores"]["tuned"]["accuracy"]["by_repeat_and_fold"]) == (2, 3)
        assert set(entry["leads"]) >= {"TF-IDF", "frozen features", "majority class"}
        assert "cross-validation" in found["metrics"]["scored"]
        assert found["data"]["rows"] == {"train": 120}
        assert found["statistics"] == {}

    def test_predictions_hold_every_row_and_its_fold(self, done: Done, folded: TextDataset) -> None:
        table = pq.read_table(done.folder / "predictions.parquet")
        assert table.column("text").to_pylist() == list(folded.train.texts)
        folds = np.array(table.column("fold").to_pylist())
        for number, fold in enumerate(folded.folds[0], start=1):
            assert np.flatnonzero(folds == number).tolist() == fold.scored.tolist()
        assert read_evaluation(done.folder).metrics == done.result.comparison.after.metrics

    def test_the_report_and_the_card_show_folds(self, done: Done) -> None:
        page = (done.folder / "report.html").read_text(encoding="utf-8")
        assert states(page, "Cross-validated", "By fold", "2.3", "Nadeau", "Every row is scored once in 3 folds")
        assert "McNemar" not in page
        card = (done.folder / "README.md").read_text(encoding="utf-8")
        assert states(card, "Cross-validated", "median of the epochs that the folds kept", "corrected resampled t")

    def test_verify_passes_and_sees_changes(self, done: Done, tmp_path: Path) -> None:
        assert verify(done.folder, base=done.settings["model.name"]).ok

    def test_predict_and_compare(self, done: Done, tmp_path: Path) -> None:
        base = ["--base", done.settings["model.name"]]
        runner = CliRunner()
        found = runner.invoke(app, ["predict", str(done.folder), *base, "so be it"])
        assert found.exit_code == 0, found.stderr
        shown = runner.invoke(
            app, ["compare", str(done.folder), str(_copy(done.folder, tmp_path)), "--output", str(tmp_path / "c.html")]
        )
        assert shown.exit_code == 0, shown.stderr
        assert states(" ".join(shown.stdout.split()), "was cross-validated", "the folds share training rows")

    def test_reproduces_bit_for_bit(self, done: Done) -> None:
        again = reproduce(done.folder, data=done.settings["data.source"], model=done.settings["model.name"])
        assert again.identical

    def test_an_export_is_not_checked_on_training_rows(self, done: Done) -> None:
        from emotune.exports.rows import rows_to_check
        from emotune.folder.format import read_description
        from emotune.system.errors import ArtifactError

        with pytest.raises(ArtifactError, match=facts("trained on all rows", "--data")):
            rows_to_check(done.folder, read_description(done.folder), None)

    def test_scores_are_not_pushed_as_those_of_a_test_split(self, done: Done) -> None:
        from emotune.folder.format import read_description
        from emotune.publish.card import files_of_scores

        description = read_description(done.folder)
        data = description.data
        assert data is not None
        on_hub = description.changed(data=data.changed(name="owner/name", was_local=False))
        assert files_of_scores(on_hub) == {}


def _copy(folder: Path, to: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, to / "other"))


class TestRefusals:
    def test_settings_that_folds_cannot_follow_are_named_together(self, rows: Path, tmp_path: Path) -> None:
        config = RunConfig.load(
            overrides={
                "data.source": str(rows),
                "data.folds": 3,
                "training.seeds": 2,
                "training.resume": True,
                "baselines.margin": 1.0,
                "output.folder": str(tmp_path / "out"),
            }
        )
        with pytest.raises(ConfigError, match=facts("folds = 3", "training.seeds", "margin", "--folds none")):
            run(config)
        assert not (tmp_path / "out").exists()

    def test_a_command_with_a_test_file_is_refused_in_a_line(self, rows: Path) -> None:
        shown = CliRunner().invoke(app, ["run", "--data", str(rows), "--test-data", str(rows), "--folds", "3"])
        assert isinstance(shown.exception, ConfigError) or shown.exit_code == 2
        assert states(str(shown.exception) + shown.stderr, "folds is 3", "test is given")

    def test_a_sweep_with_folds_is_refused(self, rows: Path, tmp_path: Path) -> None:
        shown = CliRunner().invoke(
            app,
            [
                "sweep",
                "--data",
                str(rows),
                "--set",
                "data.folds=3",
                "--methods",
                "head",
                "--output",
                str(tmp_path / "s"),
            ],
        )
        assert states(str(shown.exception) + shown.stderr, "data.folds is 3", "emotune run --folds")
        assert not (tmp_path / "s").exists()


def test_notes_of_folds_are_in_the_data(folded: TextDataset) -> None:
    assert one_states(folded.notes, "3 folds, 2 times")
    assert json.dumps(folded.notes)


@pytest.fixture(scope="module")
def in_order(
    hub_named_bert: Path, rows: Path, tiny_data: TextDataset, tmp_path_factory: pytest.TempPathFactory
) -> Done:
    """A cross-validation of one repeat whose labels have an order."""
    settings: dict[str, Any] = {
        "model.name": str(hub_named_bert),
        "model.max_length": 32,
        "data.source": str(rows),
        "data.labels": list(tiny_data.labels),
        "data.ordered": True,
        "data.folds": 3,
        "data.fold_repeats": 2,
        "method.name": "head",
        "training.epochs": 2,
        "training.precision": "fp32",
        "training.device": "cpu",
        "output.folder": str(tmp_path_factory.mktemp("ordered") / "tuned"),
    }
    progress = Recording()
    return Done(run(RunConfig.load(overrides=settings), progress), progress, settings)


@pytest.mark.slow
class TestInOrder:
    def test_scores_are_those_of_scikit_learn_in_every_fold(self, in_order: Done) -> None:
        study, after = in_order.result.comparison.folds, in_order.result.comparison.after
        data = load_data(**RunConfig.load(overrides=in_order.settings).data_arguments())
        for number, fold in enumerate(data.folds[0]):
            truth, found = data.train.label_ids[fold.scored], after.predictions[fold.scored]
            errors, kappas = (
                study.further[name][after.name] for name in ("mean absolute error", "quadratic weighted kappa")
            )
            assert errors[0, number] == pytest.approx(mean_absolute_error(truth, found))
            assert kappas[0, number] == pytest.approx(cohen_kappa_score(truth, found, weights="quadratic"))

    def test_differences_have_corrected_intervals(self, in_order: Done) -> None:
        comparison = in_order.result.comparison
        study, after, other = comparison.folds, comparison.after.name, comparison.baselines[0]
        values = study.further["mean absolute error"]
        differences = (values[after] - values[other.name]).ravel()
        error = np.sqrt((1 / 6 + 1 / 2) * differences.var(ddof=1))
        found = comparison.over_folds(other).further["mean absolute error"]
        assert found.mean == pytest.approx(differences.mean())
        assert found.error == pytest.approx(error)

    def test_the_table_the_verdict_the_file_and_the_report_have_them(self, in_order: Done) -> None:
        comparison = in_order.result.comparison
        table = plain_part(folds_table(comparison))
        assert states(table, "mean absolute error", "quadratic weighted kappa", "own units")
        assert one_states(in_order.result.verdict.splitlines(), "steps of the order on average", "means of 6 folds")
        scores = described(in_order.folder)["cross_validation"]["scores"][comparison.after.name]
        assert scores["mean_absolute_error"]["mean"] == pytest.approx(
            comparison.folds.further["mean absolute error"][comparison.after.name].mean()
        )
        page = (in_order.folder / "report.html").read_text(encoding="utf-8")
        assert states(
            page, "Labels with an order", "quadratic weighted kappa", "off by 2 steps", "In the first repeat."
        )


@pytest.mark.slow
def test_features_of_all_rows_are_computed_once_and_give_the_same_baseline(
    tiny_base: Classifier, folded: TextDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = known_features(tiny_base, folded.train)
    assert known is not None
    assert known_features(tiny_base, folded.train, most_numbers=100) is None
    fold = folded.folds[1][2]
    alone = frozen_features(tiny_base, folded.of_fold(fold))
    monkeypatch.setattr(frozen, "layer_features", None)  # computes nothing anew
    found = frozen_features(tiny_base, folded.of_fold(fold), known=FoldFeatures(known, fold))
    assert found.predictions.tolist() == alone.predictions.tolist()
    assert found.probabilities is not None
    assert alone.probabilities is not None
    np.testing.assert_allclose(found.probabilities, alone.probabilities, atol=1e-5)
    assert found.note == alone.note


@pytest.mark.slow
class TestResuming:
    def test_an_interrupted_cross_validation_gives_what_an_uninterrupted_one_gives(
        self, done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = {**done.settings, "output.folder": str(tmp_path / "tuned")}
        trained: list[int] = []

        def stopping(base: Any, data: TextDataset, *args: Any, **kwargs: Any) -> Any:
            if len(trained) == 3:
                raise KeyboardInterrupt
            trained.append(len(data.train))
            return finetune(base, data, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(training, "finetune", stopping)
            with pytest.raises(KeyboardInterrupt):
                run(RunConfig.load(overrides=settings))
        assert not (tmp_path / "tuned").exists()
        with pytest.raises(OutputError, match=facts("--resume", "--overwrite")):
            run(RunConfig.load(overrides=settings))
        other = RunConfig.load(overrides={**settings, "training.resume": True, "training.epochs": 3})
        with pytest.raises(OutputError, match=facts("another configuration")):
            run(other)

        def watched(base: Any, data: TextDataset, *args: Any, **kwargs: Any) -> Any:
            trained.append(len(data.train))
            return finetune(base, data, *args, **kwargs)

        progress = Recording()
        with monkeypatch.context() as patch:
            patch.setattr(training, "finetune", watched)
            again = run(RunConfig.load(overrides={**settings, "training.resume": True}), progress)
        assert len(trained) == 3 + 3 + 1  # six folds and all rows
        assert one_states(progress.lines, "fold 3 of 3, repeat 1 of 2, kept")
        first, second = done.result.comparison, again.comparison
        assert first.folds is not None
        for name, values in first.folds.accuracy.items():
            np.testing.assert_array_equal(second.folds.accuracy[name], values)
            np.testing.assert_array_equal(second.folds.macro_f1[name], first.folds.macro_f1[name])
        for one, two in zip((first.after, *first.baselines), (second.after, *second.baselines), strict=True):
            np.testing.assert_array_equal(one.probabilities, two.probabilities)
            assert (one.name, one.note, one.metrics) == (two.name, two.note, two.metrics)
        weights = [load_file(folder / "adapter_model.safetensors") for folder in (done.folder, again.folder)]
        assert weights[0].keys() == weights[1].keys()
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
        assert not list(tmp_path.glob(".tuned.checkpoints"))

    def test_a_damaged_fold_is_refused(self, tmp_path: Path, tiny_data: TextDataset) -> None:
        path = fold_file(tmp_path, 1, 2)
        path.write_bytes(b"no archive")
        with pytest.raises(OutputError, match=facts("fold-2.npz", "is damaged", "Remove the file")):
            read_fold(path, tiny_data.test)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_fits_the_screen(browser: Any, in_order: Done, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto((in_order.folder / "report.html").resolve().as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert "-0.0000" not in page.content()
    page.close()
