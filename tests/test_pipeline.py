"""The main job on the tiny model and the tiny data: eight steps, one folder, and nothing else left behind."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, f1_score, log_loss

from emotune.evaluation.words.verdict import sentences
from emotune.folder.check import check
from emotune.folder.verification import Verification
from emotune.methods import refusals
from emotune.pipeline import STEPS, run
from emotune.report.tables import render
from emotune.settings import portable
from emotune.settings.run import RunConfig
from emotune.system.errors import DataError, EmotuneError, MethodError, ModelError, OutputError, VerificationError

from .conftest import EMOTIONS, Recording, described
from .tiny_models import make_folder

if TYPE_CHECKING:
    from transformers import BertTokenizer

    from emotune.data.dataset import TextDataset
    from emotune.system.progress import Advance

    from .conftest import Run

FILES = {
    "README.md",
    "adapter_config.json",
    "adapter_model.safetensors",
    "config.json",
    "confusion_matrix.png",
    "fingerprints.npz",
    "emotune.json",
    "predictions.parquet",
    "quantization.parquet",
    "report.html",
    "tokenizer.json",
    "tokenizer_config.json",
    "training_curve.png",
}

Settings = dict[str, Any]


@pytest.fixture
def settings(tiny_run: Run, tmp_path: Path) -> Settings:
    """The shared run's settings, with an output folder of the test's own and two epochs."""
    return tiny_run.settings | {"training.epochs": 2, "output.folder": str(tmp_path / "place" / "tuned")}


@pytest.fixture
def unverified(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, str | None]]:
    """Spares a test the fresh process; gives what would have been verified, and with which base."""
    asked: list[tuple[Path, str | None]] = []

    def passes(folder: Path, *, base: str | None = None, most_rows: int) -> Verification:
        asked.append((folder, base))
        return Verification(0, 0.0, 1e-4, 0, ())

    monkeypatch.setattr("emotune.pipeline.verify", passes)
    return asked


def start(settings: Settings, progress: Recording | None = None, **changes: Any) -> Recording:
    progress = progress or Recording()
    overrides = settings | {key.replace("__", "."): value for key, value in changes.items()}
    run(RunConfig.load(overrides=overrides), progress)
    return progress


def beside(settings: Settings) -> list[str]:
    """What lies where the output folder goes."""
    place = Path(settings["output.folder"]).parent
    return sorted(path.name for path in place.iterdir()) if place.exists() else []


class TestSteps:
    def test_are_eight_in_this_order(self, tiny_run: Run) -> None:
        assert tiny_run.progress.steps == [
            "Data",
            "Base model",
            "Before",
            "Fine-tune with LoRA",
            "After",
            "Compare",
            "Save",
            "Verify",
        ]
        assert tiny_run.progress.finished == tiny_run.progress.steps
        assert len(tiny_run.progress.steps) == STEPS

    def test_every_bar_is_filled(self, tiny_run: Run) -> None:
        assert {description for description, _, _ in tiny_run.progress.bars} >= {"training", "scoring test"}
        for description, total, done in tiny_run.progress.bars:
            assert done == total, description

    def test_say_what_they_found(self, tiny_run: Run) -> None:
        said = "\n".join(tiny_run.progress.lines)
        assert "owner/tiny-bert: BertForSequenceClassification" in said
        assert "0 of 192 texts are longer than 32 and are cut" in said
        assert "longer than 32 tokens" in tiny_run.result.report.read_text(encoding="utf-8")
        assert "bert.encoder.layer.*.attention.self.query (2)" in said
        for name in ("base (untrained head)", "majority class", "TF-IDF", "frozen features"):
            assert f"{name}: " in said
        assert "kept epoch" in said
        assert "The expected calibration error (ECE) is" in said
        assert "a fresh process gives the same labels" in said
        assert len(tiny_run.progress.shown) == 3  # rows, scores, costs

    @pytest.mark.slow
    def test_say_which_class_the_test_rows_lack(
        self, settings: Settings, tiny_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class EnoughError(Exception):
            """Raised once the test rows have been scored: training is of no interest here."""

        def stop(*_: object) -> None:
            raise EnoughError

        monkeypatch.setattr("emotune.pipeline.train_seeds", stop)
        data = Path(shutil.copytree(tiny_files, tmp_path / "data"))
        rows = (data / "test.csv").read_text().splitlines()
        (data / "test.csv").write_text("\n".join(row for row in rows if not row.endswith(",love")))
        progress = Recording()
        with pytest.raises(EnoughError):
            start(settings, progress, data__source=str(data))
        assert sum("No row that was scored is labelled 'love': macro" in line for line in progress.lines) == 1


class TestResult:
    def test_is_complete(self, tiny_run: Run) -> None:
        result = tiny_run.result
        assert result.folder == Path(tiny_run.settings["output.folder"])
        assert result.classifier.is_tuned
        assert result.comparison.before.name == "base (untrained head)"
        assert result.comparison.after.name == "tuned"
        assert [baseline.name for baseline in result.comparison.baselines] == [
            "majority class",
            "TF-IDF",
            "frozen features",
        ]
        assert result.verification.ok
        assert result.seconds > 1

    def test_tuning_helped(self, tiny_run: Run) -> None:
        comparison = tiny_run.result.comparison
        assert comparison.after.metrics.accuracy > comparison.before.metrics.accuracy + 0.2
        assert len(comparison.fixed) > len(comparison.broken)


class TestFolder:
    def test_the_files(self, tiny_run: Run) -> None:
        assert {path.name for path in tiny_run.result.folder.iterdir()} == FILES

    def test_nothing_is_left_beside_it(self, tiny_run: Run) -> None:
        assert beside(tiny_run.settings) == ["tuned"]

    def test_predictions_are_those_that_were_scored(self, tiny_run: Run, tiny_data: TextDataset) -> None:
        table = pq.read_table(tiny_run.result.folder / "predictions.parquet")
        assert table.column_names == ["text", "label", "prediction", *(f"p_{label}" for label in EMOTIONS)]
        columns = table.to_pydict()
        assert tuple(columns["text"]) == tiny_data.test.texts
        assert columns["label"] == [EMOTIONS[i] for i in tiny_data.test.label_ids]
        probabilities = np.column_stack([columns[f"p_{label}"] for label in EMOTIONS])
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        assert columns["prediction"] == [EMOTIONS[i] for i in probabilities.argmax(axis=1)]

        metrics = described(tiny_run.result.folder)["metrics"]["after"]
        assert metrics["accuracy"] == accuracy_score(columns["label"], columns["prediction"])
        f1 = f1_score(columns["label"], columns["prediction"], average="macro", zero_division=0.0)
        assert metrics["macro_f1"] == pytest.approx(f1)
        loss = log_loss(tiny_data.test.label_ids, probabilities, labels=range(6))
        assert metrics["loss"] == pytest.approx(loss)

    def test_the_description_tells_the_whole_run(self, tiny_run: Run, tiny_data: TextDataset) -> None:
        description = described(tiny_run.result.folder)
        comparison, training = tiny_run.result.comparison, tiny_run.result.classifier.training
        assert description["data"]["fingerprint"] == tiny_data.fingerprint
        assert description["data"]["name"] == "made-up"
        assert description["data"]["rows"] == {"train": 120, "validation": 36, "test": 36}
        assert description["data"]["counts"]["test"] == dict.fromkeys(EMOTIONS, 6)
        read: dict[str, object] = {
            "text": "text",
            "label": "label",
            "unused": [],
            "further": [],
            "pair": None,
            "labels": [],
        }
        assert description["data"]["columns"] == {"train": read, "validation": read, "test": read}
        assert tuple(description["labels"]) == EMOTIONS
        assert description["metrics"]["rows_fixed"] == len(comparison.fixed)
        assert description["metrics"]["rows_broken"] == len(comparison.broken)
        assert description["metrics"]["before"]["accuracy"] == comparison.before.metrics.accuracy
        assert description["metrics"]["baselines"].keys() == {"majority class", "TF-IDF", "frozen features"}
        assert description["training"]["train_examples_per_second"] == training.train_examples_per_second > 0
        assert description["peak_memory_bytes"] >= training.peak_memory_bytes
        seconds = description["seconds"]
        steps = ["data", "base_model", "before", "fine-tune_with_lora", "after", "compare"]
        assert list(seconds) == [*steps, "total"]
        assert sum(seconds[step] for step in steps) <= seconds["total"] <= tiny_run.result.seconds

    def test_the_verdict_is_the_same_everywhere_and_ends_with_chance(self, tiny_run: Run) -> None:
        result = tiny_run.result
        found = sentences(result.comparison, leaks=result.leaks)
        assert "'tuned'" in found[0]
        assert "one seed" in found[0]
        assert "'base (untrained head)'" not in " ".join(found[:-1])
        assert found[-1].startswith("'base (untrained head)'")
        assert "chance" in found[-1]
        assert any("'frozen" in sentence for sentence in found)
        assert result.verdict.splitlines() == found
        assert described(result.folder)["verdict"] == " ".join(found)
        page = unescape(result.report.read_text(encoding="utf-8"))
        card = (result.folder / "README.md").read_text(encoding="utf-8").replace("\\", "")
        printed = " ".join(render(tiny_run.progress.shown[1], 120).split())
        for sentence in found:
            assert sentence in page
            assert sentence.replace("<", "&lt;") in card
            assert sentence in printed

    def test_the_configuration_is_kept_without_the_machines_paths(self, tiny_run: Run) -> None:
        configuration = described(tiny_run.result.folder)["configuration"]
        assert configuration["model"]["name"] == "tiny-bert"
        assert configuration["data"]["source"] == "made-up"
        assert configuration["output"]["folder"] == "tuned"
        assert configuration["training"]["learning_rate"] == 8e-3

    def test_no_file_tells_of_the_machine(self, tiny_run: Run, hub_named_bert: Path, tiny_files: Path) -> None:
        folder = tiny_run.result.folder
        places = [folder, folder.parent, hub_named_bert.parent, tiny_files.parent, Path.cwd(), Path.home()]
        for file in folder.iterdir():
            content = file.read_bytes()
            for place in places:
                assert str(place).encode() not in content, (file.name, place)

    def test_the_base_is_named_by_its_hub_id(self, tiny_run: Run) -> None:
        adapter = json.loads((tiny_run.result.folder / "adapter_config.json").read_text())
        assert adapter["base_model_name_or_path"] == "owner/tiny-bert"
        assert "base_model: owner/tiny-bert" in (tiny_run.result.folder / "README.md").read_text()

    def test_the_pictures_are_pictures(self, tiny_run: Run) -> None:
        for name in ("confusion_matrix.png", "training_curve.png"):
            assert (tiny_run.result.folder / name).read_bytes().startswith(b"\x89PNG")


class TestOutput:
    def test_a_folder_with_something_in_it_is_refused_before_any_work(self, settings: Settings) -> None:
        folder = Path(settings["output.folder"])
        folder.mkdir(parents=True)
        (folder / "mine.txt").write_text("mine")
        progress = Recording()
        with pytest.raises(OutputError, match="exists and is not empty"):
            start(settings, progress)
        assert progress.steps == []
        assert (folder / "mine.txt").read_text() == "mine"

    @pytest.mark.parametrize("key", ["data.source", "model.name"])
    def test_it_never_replaces_what_the_run_reads(self, settings: Settings, key: str) -> None:
        place = Path(settings[key])
        with pytest.raises(OutputError, match="which this run reads"):
            start(settings | {"output.folder": str(place if place.is_dir() else place.parent)}, output__overwrite=True)
        assert place.exists()

    @pytest.mark.slow
    def test_it_is_replaced_if_asked(self, settings: Settings, unverified: list[Any]) -> None:
        folder = Path(settings["output.folder"])
        folder.mkdir(parents=True)
        (folder / "mine.txt").write_text("mine")
        (folder / "emotune.json").write_text("{}")
        start(settings, output__overwrite=True)
        assert {path.name for path in folder.iterdir()} == FILES
        assert beside(settings) == ["tuned"]

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"data.source": "no/such/file.csv"}, EmotuneError),
            ({"data.text_column": "no such column"}, DataError),
            ({"model.name": "./no-such-model"}, ModelError),
            ({"method.target_modules": ["v_proj"]}, MethodError),
            ({"model.max_length": 65}, ModelError),
        ],
    )
    def test_a_mistake_leaves_the_old_folder_as_it_was_and_nothing_beside_it(
        self, settings: Settings, changes: Settings, error: type[EmotuneError]
    ) -> None:
        folder = Path(settings["output.folder"])
        folder.mkdir(parents=True)
        (folder / "mine.txt").write_text("mine")
        (folder / "emotune.json").write_text("{}")
        progress = Recording()
        with pytest.raises(error) as raised:
            start(settings | changes, progress, output__overwrite=True)
        assert raised.value.exit_code == 2
        assert len(str(raised.value).splitlines()) <= 3
        assert "Before" not in progress.steps  # found before any time is spent
        assert (folder / "mine.txt").read_text() == "mine"
        assert beside(settings) == ["tuned"]

    @pytest.mark.slow
    def test_a_full_disk_while_saving_keeps_the_training(
        self, settings: Settings, unverified: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("emotune.report.figures.confusion_matrix", full)
            with pytest.raises(OutputError, match="No space left on device"):
                start(settings)
        assert beside(settings) == [".tuned.checkpoints"]
        start(settings, training__resume=True)
        assert beside(settings) == ["tuned"]


class TestVerify:
    @pytest.mark.slow
    def test_a_folder_that_fails_is_a_failed_run(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(folder: Path, **_: Any) -> Verification:
            raise VerificationError(f"'{folder}' does not give the predictions it was saved with")

        monkeypatch.setattr("emotune.pipeline.verify", fails)
        progress = Recording()
        with pytest.raises(VerificationError) as raised:
            start(settings, progress)
        assert raised.value.exit_code == 1
        assert progress.finished[-1] == "Save"

    @pytest.mark.slow
    def test_a_local_base_is_pointed_out_to_it(
        self, settings: Settings, unverified: list[tuple[Path, str | None]]
    ) -> None:
        start(settings)
        assert unverified == [(Path(settings["output.folder"]), settings["model.name"])]

    @pytest.mark.slow
    def test_a_local_base_by_a_bare_name_is_still_a_local_base(
        self,
        settings: Settings,
        unverified: list[tuple[Path, str | None]],
        tiny_bert: Path,
        tiny_files: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        shutil.copytree(tiny_bert, tmp_path / "mymodel")
        shutil.copytree(tiny_files, tmp_path / "mydata")
        monkeypatch.chdir(tmp_path)
        start(settings, model__name="mymodel", data__source="mydata", output__folder="out/tuned")
        assert unverified == [(Path("out/tuned"), "mymodel")]
        description = described("out/tuned")
        assert description["base_model"] == {"name": "mymodel", "source": None, "revision": None, "made_from": ""}
        assert description["configuration"]["output"]["folder"] == "tuned"
        assert "base_model:" not in (tmp_path / "out" / "tuned" / "README.md").read_text()


class Interrupted(Exception):
    """What ends a run before its time."""


class StopInEpoch(Recording):
    """Interrupts training in the middle of an epoch of a run of two."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.share = (epoch - 0.5) / 2

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Advance]:
        with super().bar(description, total) as advance:
            done = 0

            def stop(units: int) -> None:
                nonlocal done
                done += units
                advance(units)
                if description == "training" and done >= self.share * total:
                    raise Interrupted

            yield stop


class TestInterruption:
    @pytest.mark.slow
    def test_an_interrupted_run_is_resumed_and_gives_what_an_uninterrupted_one_gives(
        self, settings: Settings, unverified: list[Any]
    ) -> None:
        with pytest.raises(Interrupted):
            start(settings, StopInEpoch(2))
        assert beside(settings) == [".tuned.checkpoints"]

        refused = Recording()
        with pytest.raises(OutputError, match=r"unfinished run.*--resume.*--overwrite"):
            start(settings, refused)
        with pytest.raises(OutputError, match="another configuration"):
            start(settings, refused, training__resume=True, method__r=4)
        assert refused.steps == []
        assert beside(settings) == [".tuned.checkpoints"]

        start(settings, training__resume=True)
        assert beside(settings) == ["tuned"]
        whole = settings | {"output.folder": settings["output.folder"] + "-whole"}
        start(whole)
        resumed, uninterrupted = (
            load_file(Path(one["output.folder"]) / "adapter_model.safetensors") for one in (settings, whole)
        )
        assert resumed.keys() == uninterrupted.keys()
        for name, tensor in uninterrupted.items():
            assert tensor.equal(resumed[name]), name

    @pytest.mark.slow
    def test_before_the_first_checkpoint_there_is_nothing_to_keep(self, settings: Settings) -> None:
        with pytest.raises(Interrupted):
            start(settings, StopInEpoch(1))
        assert beside(settings) == []
        progress = Recording()
        with pytest.raises(OutputError, match="no unfinished run"):
            start(settings, progress, training__resume=True)
        assert progress.steps == []


class TestPortability:
    """What the folder says about how it was made, without saying where."""

    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A working folder with data/x.csv in it."""
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "x.csv").touch()
        monkeypatch.chdir(tmp_path)
        return tmp_path

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ([], "emotune"),
            (["run", "--preset", "quickstart"], "emotune run --preset quickstart"),
            (["run", "--model", "owner/name", "--epochs", "3"], "emotune run --model owner/name --epochs 3"),
            (["run", "--data", "PLACE/data/x.csv"], "emotune run --data x.csv"),
            (["run", "--data=PLACE/data/x.csv"], "emotune run --data=x.csv"),
            (["run", "--data", "data/x.csv"], "emotune run --data x.csv"),
            (["run", "--data", "./data/x.csv"], "emotune run --data x.csv"),
            (["run", "--data", "~/secret/x.csv"], "emotune run --data x.csv"),
            (["run", "--output", "PLACE/not/yet/there"], "emotune run --output there"),
            (["run", "--set", "data.source=PLACE/data/x.csv"], "emotune run --set data.source=x.csv"),
            (["run", "--set", 'data.source="PLACE/data/x.csv"'], "emotune run --set data.source=x.csv"),
            (["run", "--text-column", "the text"], "emotune run --text-column 'the text'"),
            (["run", "--learning-rate", ".001"], "emotune run --learning-rate .001"),
        ],
    )
    def test_the_command(self, place: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], expected: str) -> None:
        monkeypatch.setattr(sys, "argv", ["/usr/bin/emotune", *(word.replace("PLACE", str(place)) for word in words)])
        assert portable.command() == expected

    @pytest.mark.parametrize(
        ("program", "known"),
        [
            ("/opt/venv/bin/emotune", True),
            ("C:/venv/Scripts/emotune.exe", True),
            ("/src/emotune/__main__.py", True),
            ("/lib/pytest/__main__.py", False),
            ("/lib/ipykernel_launcher.py", False),
            ("-c", False),
            ("", False),
        ],
    )
    def test_only_our_own_command_is_called_so(
        self, monkeypatch: pytest.MonkeyPatch, program: str, known: bool
    ) -> None:
        monkeypatch.setattr(sys, "argv", [program, "run"])
        assert portable.command() == ("emotune run" if known else "")

    @pytest.mark.parametrize(
        ("key", "value", "expected"),
        [
            ("data.source", "dair-ai/emotion", "dair-ai/emotion"),
            ("data.source", "bundled:sample", "bundled:sample"),
            ("data.source", "data/x.csv", "x.csv"),
            ("data.source", "PLACE/data", "data"),
            ("data.source", "~/secret/x.csv", "x.csv"),
            ("data.validation", "PLACE/data/x.csv", "x.csv"),
            ("data.test", "data/x.csv", "x.csv"),
            ("model.name", "bert-base-uncased", "bert-base-uncased"),
            ("model.name", "owner/name", "owner/name"),
            ("model.name", "PLACE/models/tiny", "tiny"),
            ("output.folder", "runs/2025/tuned", "tuned"),
            ("output.folder", "PLACE/tuned", "tuned"),
        ],
    )
    def test_the_configuration(self, place: Path, key: str, value: str, expected: str) -> None:
        config = RunConfig.load(overrides={key: value.replace("PLACE", str(place))})
        section, name = key.split(".")
        values = portable.configuration(config)
        assert values[section][name] == expected
        others = portable.configuration(RunConfig())
        others[section][name] = expected
        assert values == others


@pytest.mark.real
def test_the_real_data_is_whole(real_data: str) -> None:
    from emotune.data.load import load_data

    data = load_data(real_data)
    assert [len(split) for split in data.splits] == [16_000, 2_000, 2_000]
    assert data.labels == EMOTIONS


@pytest.mark.slow
@pytest.mark.real
def test_a_short_fine_tune_on_real_data_beats_base_and_majority(real_data: str) -> None:
    from dataclasses import replace

    from emotune.data.load import load_data
    from emotune.evaluation.baselines import majority_class
    from emotune.evaluation.evaluate import evaluate
    from emotune.folder.base import load_base
    from emotune.training.finetune import finetune
    from emotune.training.options import TrainingOptions

    whole = load_data(real_data)
    data = replace(whole, train=whole.train.take(range(2_000)), validation=whole.validation.take(range(100)))
    held_out = whole.validation.take(range(500, 1_000))  # not the test split: that is for the final figure
    base = load_base("bundled:minilm", labels=data.labels, max_length=64)
    tuned = finetune(base, data, options=TrainingOptions(epochs=1))
    before, after = (evaluate(classifier, held_out).metrics for classifier in (base, tuned))
    majority = majority_class(data.train, held_out).metrics
    assert after.accuracy > max(before.accuracy, majority.accuracy) + 0.1
    assert after.macro_f1 > max(before.macro_f1, majority.macro_f1) + 0.1


class TestSeeds:
    @pytest.mark.slow
    def test_all_are_reported_and_the_best_on_validation_is_saved(
        self, settings: Settings, unverified: list[tuple[Path, str | None]]
    ) -> None:
        heard = start(settings, training__seeds=2)
        description = described(Path(settings["output.folder"]))
        seeds = description["seeds"]
        assert len(seeds["accuracy"]["values"]) == len(seeds["macro-F1"]["values"]) == 2
        assert description["metrics"]["after"]["accuracy"] == seeds["accuracy"]["values"][0]
        assert seeds["accuracy"]["interval"]["low"] <= np.mean(seeds["accuracy"]["values"])
        chosen = description["training"]["seed"]
        assert f"seed {chosen} is best on validation and is saved" in heard.lines
        report = (Path(settings["output.folder"]) / "report.html").read_text(encoding="utf-8")
        assert "over 2 seeds" in report
        assert "(mean of 2 seeds, " in description["verdict"]
        assert "one seed" not in description["verdict"]
        assert beside(settings) == ["tuned"]

    @pytest.mark.slow
    def test_are_resumed_and_give_what_they_give_uninterrupted(
        self, settings: Settings, unverified: list[tuple[Path, str | None]]
    ) -> None:
        class StopInSecondSeed(StopInEpoch):
            def __init__(self) -> None:
                super().__init__(2)
                self.seeds = 0

            @contextmanager
            def bar(self, description: str, total: int) -> Iterator[Advance]:
                self.seeds += description == "training"
                with super().bar(description if self.seeds == 2 else "", total) as advance:
                    yield advance

        with pytest.raises(Interrupted):
            start(settings, StopInSecondSeed(), training__seeds=3)
        heard = start(settings, training__seeds=3, training__resume=True)
        assert sum(line.startswith("epoch ") for line in heard.lines) == 1 + 2  # of the second seed and the third
        whole = settings | {"output.folder": settings["output.folder"] + "-whole"}
        start(whole, training__seeds=3)
        resumed, uninterrupted = (described(Path(one["output.folder"])) for one in (settings, whole))
        assert resumed["seeds"] == uninterrupted["seeds"]
        assert resumed["metrics"]["after"] == uninterrupted["metrics"]["after"]
        assert beside(settings) == ["tuned", "tuned-whole"]


class TestFullFineTuning:
    @pytest.mark.slow
    def test_as_a_baseline_is_scored_beside_the_model(
        self, settings: Settings, unverified: list[tuple[Path, str | None]]
    ) -> None:
        result = run(RunConfig.load(overrides=settings | {"baselines.full": True}), Recording())
        assert all(baseline.validation_macro_f1 is not None for baseline in result.comparison.baselines)
        folder = Path(settings["output.folder"])
        metrics = described(folder)["metrics"]
        assert list(metrics["baselines"]) == ["majority class", "TF-IDF", "frozen features", "full fine-tuning"]
        assert metrics["baselines"]["full fine-tuning"] != metrics["after"]
        assert "Every weight trained, seed 0, learning rate 0.0001." in (folder / "report.html").read_text()
        assert beside(settings) == ["tuned"]

    @pytest.mark.slow
    def test_as_the_method_gives_a_folder_that_transformers_loads(self, settings: Settings) -> None:
        """Verified in a fresh process by the run itself, and loaded here by the code of its card."""
        progress = start(settings, method__name="full", training__learning_rate=2e-3, training__epochs=6)
        assert "full fine-tuning will train every weight" in progress.lines
        folder = Path(settings["output.folder"])
        assert {path.name for path in folder.iterdir()} == FILES - {
            "adapter_config.json",
            "adapter_model.safetensors",
        } | {"model.safetensors"}
        code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
        assert code is not None
        names: dict[str, Any] = {}
        exec(code[1].replace('"fine_tuned_lora_model"', repr(str(folder))), names)
        table = pq.read_table(folder / "predictions.parquet")
        batch = names["tokenizer"](table.column("text").to_pylist(), padding=True, truncation=True, return_tensors="pt")
        logits = names["model"].eval()(**batch).logits
        id2label = names["model"].config.id2label
        assert [id2label[int(row)] for row in logits.argmax(-1)] == table.column("prediction").to_pylist()
        description = described(folder)
        assert description["method"] == {"name": "full"}
        record = description["training"]
        assert record["trainable_parameters"] == record["total_parameters"]
        assert description["metrics"]["after"]["accuracy"] > 0.6  # chance is 1 in 6


class TestFamilies:
    """The whole job on models that the fast path does not cover, each with something of its own."""

    @pytest.mark.slow
    @pytest.mark.parametrize("family", ["albert", "deberta-v2", "gpt2", "modernbert", "mpnet"])
    def test_run_from_end_to_end(
        self,
        family: str,
        settings: Settings,
        unverified: list[tuple[Path, str | None]],
        tiny_tokenizer: BertTokenizer,
        tmp_path: Path,
    ) -> None:
        model = make_folder(family, tmp_path / family, tiny_tokenizer)
        progress = start(settings, model__name=str(model), training__epochs=1)
        folder = Path(settings["output.folder"])
        assert unverified == [(folder, str(model))]
        said = "\n".join(progress.lines)
        assert "LoRA will train adapters on" in said
        assert "frozen features: " in said
        assert "not a family that emotune knows" not in said
        # The words behind the predictions stand in the report: the bar of explanations was filled.
        assert [done == total > 0 for description, total, done in progress.bars if description == "explaining"] == [
            True
        ]
        plain = check(folder, str(model))
        assert plain.ok, plain

    @pytest.mark.slow
    def test_a_family_that_is_not_known_is_guessed_and_the_guess_said(
        self,
        settings: Settings,
        unverified: list[tuple[Path, str | None]],
        tiny_tokenizer: BertTokenizer,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from emotune.models import families

        monkeypatch.setattr(families, "FAMILIES", {})
        model = make_folder("mpnet", tmp_path / "mpnet", tiny_tokenizer)
        progress = start(settings, model__name=str(model), training__epochs=1)
        assert unverified
        guess = next(line for line in progress.lines if "is not a family that emotune knows" in line)
        assert "head classifier, linear layers mpnet.encoder.layer.*.attention.attn.q (2)" in guess
        assert "with and without padding gives the same logits" in guess

    def test_a_method_that_the_model_cannot_take_is_refused_before_anything_is_scored(
        self, settings: Settings, tiny_tokenizer: BertTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(refusals.REFUSED, ("lora", "gpt2"), "of a reason made up here")
        model = make_folder("gpt2", tmp_path / "gpt2", tiny_tokenizer)
        progress = Recording()
        with pytest.raises(MethodError, match=r"^LoRA cannot train a 'gpt2' model: of a reason made up here\."):
            start(settings, progress, model__name=str(model))
        assert progress.finished == ["Data"]
        assert not beside(settings)
