"""Fixtures for every test: a tiny BERT and its tokenizer, made on the spot, and a small data set that it can learn.

Tests never leave the machine: unless the real data was asked for by its Hub id, the Hugging Face libraries are told to
stay offline and get an empty cache. This happens at import, because they read their settings only once.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import random
import shutil
import string
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from transformers import BertTokenizer

    from emotune.data.dataset import Split, TextDataset
    from emotune.folder.tuned import TunedClassifier
    from emotune.models.classifier import Classifier
    from emotune.pipeline import RunResult
    from emotune.system.progress import Advance
    from emotune.training.options import TrainingOptions

EMOTIONS = ("sadness", "joy", "love", "anger", "fear", "surprise")


def _find_real_data() -> str | None:
    """The real emotion data's folder as an absolute path (tests may change directory), or its Hub id, or None."""
    source = os.environ.get("EMOTUNE_EMOTION_DATA")
    if not source:
        return None
    folder = Path(source)
    return str(folder.resolve()) if folder.exists() else source


REAL_DATA = _find_real_data()

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "2")
if REAL_DATA is None or Path(REAL_DATA).is_absolute():
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="emotune-tests-")
    atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)


# The made-up language: words of two syllables. The first ones belong to a label, the others to none.
_SYLLABLES = tuple(consonant + vowel for consonant, vowel in product("bdfgklmnprstvz", "aeiou"))
_WORDS = tuple(first + second for first, second in zip(_SYLLABLES * 5, _SYLLABLES[7:] * 6, strict=False))
_WORDS_A_LABEL = 8
_LABEL_WORDS = {emotion: _WORDS[i * _WORDS_A_LABEL : (i + 1) * _WORDS_A_LABEL] for i, emotion in enumerate(EMOTIONS)}
_FILLERS = _WORDS[len(EMOTIONS) * _WORDS_A_LABEL :]


@pytest.fixture(scope="session")
def tiny_tokenizer() -> BertTokenizer:
    """A BERT WordPiece tokenizer: the made-up words whole, all other ASCII words letter by letter."""
    from transformers import BertTokenizer

    characters = string.ascii_lowercase + string.digits + string.punctuation
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{c}" for c in characters), *_WORDS]
    return BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, model_max_length=64)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: BertTokenizer) -> Path:
    """A folder with a two-layer BERT encoder of random weights (no classification head) and its tokenizer.

    It takes texts of up to 64 tokens. Read it, and copy it before changing anything.
    """
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.1,  # wide enough that random features tell the words apart
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = BertModel(config)
    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    encoder.save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_data() -> TextDataset:
    """Six emotions, 120 training, 36 validation and 36 test rows: three words of the label among three fillers."""
    from emotune.data.dataset import TextDataset

    generator = random.Random(0)
    train, validation, test = (
        _made_up_split(name, rows, generator) for name, rows in (("train", 120), ("validation", 36), ("test", 36))
    )
    return TextDataset(name="tiny", labels=EMOTIONS, train=train, validation=validation, test=test)


@pytest.fixture(scope="session")
def tiny_options() -> TrainingOptions:
    """How the tiny model learns the tiny data in a second or two: small batches, a high rate, float32 on the processor."""
    from emotune.training.options import TrainingOptions

    return TrainingOptions(epochs=12, learning_rate=8e-3, batch_tokens=128, patience=12, precision="fp32", device="cpu")


@pytest.fixture(scope="session")
def tiny_base(tiny_bert: Path, tiny_data: TextDataset) -> Classifier:
    """The tiny model with an untrained head. Shared: copy the model before changing anything."""
    from emotune.folder.base import load_base

    return load_base(tiny_bert, labels=tiny_data.labels, max_length=32)


@pytest.fixture(scope="session")
def tiny_tuned(tiny_base: Classifier, tiny_data: TextDataset, tiny_options: TrainingOptions) -> TunedClassifier:
    """The tiny model, tuned on the tiny data. Shared: copy the model before changing anything."""
    from emotune.training.finetune import finetune

    return finetune(tiny_base, tiny_data, options=tiny_options)


@pytest.fixture(scope="session")
def tiny_saved(tiny_tuned: TunedClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tuned tiny model. Shared: copy it before changing anything."""
    return tiny_tuned.save(tmp_path_factory.mktemp("saved") / "tuned")


def described(folder: str | Path) -> dict[str, Any]:
    """What `emotune.json` of a saved folder holds, as plain JSON."""
    return dict(json.loads((Path(folder) / "emotune.json").read_text(encoding="utf-8")))


@dataclass
class Recording:
    """A front end that writes down what it is told."""

    steps: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    shown: list[Any] = field(default_factory=list)
    bars: list[tuple[str, int, int]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        self.steps.append(title)
        yield
        self.finished.append(title)

    def say(self, text: str) -> None:
        self.lines.append(text)

    def show(self, renderable: Any) -> None:
        self.shown.append(renderable)

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Advance]:
        done = 0

        def advance(units: int) -> None:
            nonlocal done
            done += units

        yield advance
        self.bars.append((description, total, done))


@pytest.fixture(scope="session")
def hub_named_bert(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a download of the Hub's "owner/tiny-bert": its configuration and its folder say so."""
    folder = Path(shutil.copytree(tiny_bert, tmp_path_factory.mktemp("downloads") / "tiny-bert"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_name_or_path": "owner/tiny-bert"}))
    return folder


@pytest.fixture(scope="session")
def tiny_files(tiny_data: TextDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data as a folder with a CSV file a split."""
    folder = tmp_path_factory.mktemp("data") / "made-up"
    folder.mkdir()
    for split in tiny_data.splits:
        rows = [f"{text},{split.labels[i]}" for text, i in zip(split.texts, split.label_ids, strict=True)]
        (folder / f"{split.name}.csv").write_text("\n".join(["text,label", *rows, ""]))
    return folder


@dataclass(frozen=True)
class Run:
    """A finished run of the main job.

    Attributes:
        result: What it gave.
        progress: What it told the front end.
        settings: What it was asked, as overrides of the configuration.
    """

    result: RunResult
    progress: Recording
    settings: dict[str, Any]


@pytest.fixture(scope="session")
def tiny_run(hub_named_bert: Path, tiny_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole main job on the tiny model and the tiny data. Shared: copy its folder before changing anything."""
    from emotune.pipeline import run
    from emotune.settings.run import RunConfig

    settings = {
        "model.name": str(hub_named_bert),
        "model.max_length": 32,
        "data.source": str(tiny_files),
        # Given, since files name labels only; the order is then that of the data.
        "data.labels": list(EMOTIONS),
        "training.epochs": 8,
        "training.learning_rate": 8e-3,
        "training.batch_tokens": 128,
        "training.patience": 8,
        "training.precision": "fp32",
        "training.device": "cpu",
        "output.folder": str(tmp_path_factory.mktemp("run") / "tuned"),
    }
    progress = Recording()
    result = run(RunConfig.load(overrides=settings), progress)
    return Run(result, progress, settings)


@pytest.fixture(scope="session")
def several_files(tiny_data: TextDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data with a second label, "loud", in the rows of every other class, as a folder with a CSV file a split."""
    folder = tmp_path_factory.mktemp("data") / "several"
    folder.mkdir()
    for split in tiny_data.splits:
        names = [f"{label},loud" if number % 2 else label for number, label in enumerate(split.labels)]
        rows = [f'{text},"{names[number]}"' for text, number in zip(split.texts, split.label_ids, strict=True)]
        (folder / f"{split.name}.csv").write_text("\n".join(["text,labels", *rows, ""]))
    return folder


@pytest.fixture(scope="session")
def several_run(tiny_run: Run, several_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole main job on data with several labels per row. Shared: copy its folder before changing anything."""
    from emotune.pipeline import run
    from emotune.settings.run import RunConfig

    settings = {
        **{name: value for name, value in tiny_run.settings.items() if name != "data.labels"},
        "data.source": str(several_files),
        "data.label_column": "labels",
        "data.label_separator": ",",
        "training.epochs": 30,
        "training.patience": 30,
        "output.folder": str(tmp_path_factory.mktemp("run") / "several"),
    }
    progress = Recording()
    return Run(run(RunConfig.load(overrides=settings), progress), progress, settings)


@pytest.fixture(scope="session")
def real_data() -> str:
    """Where the real emotion data is: a folder or a Hub id. Skips the test where none is given."""
    if REAL_DATA is None:
        pytest.skip("EMOTUNE_EMOTION_DATA is not set: it names the folder or the Hub id of the real emotion data")
    return REAL_DATA


def _made_up_split(name: str, rows: int, generator: random.Random) -> Split:
    """Rows with the labels in turn, so that every class has equally many."""
    import numpy as np

    from emotune.data.dataset import Split

    label_ids = np.arange(rows, dtype=np.int64) % len(EMOTIONS)
    texts = []
    for label_id in label_ids:
        words = generator.sample(_LABEL_WORDS[EMOTIONS[label_id]], 3) + generator.sample(_FILLERS, 3)
        generator.shuffle(words)
        texts.append(" ".join(words))
    return Split(name=name, texts=tuple(texts), label_ids=label_ids, labels=EMOTIONS)


# Where the real data is given, a test that needs it and was skipped is a hole in the run, not a courtesy.
_real_outcomes: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how the tests that need the real data ended."""
    if "real" in report.keywords and (report.when == "call" or report.outcome == "skipped"):
        _real_outcomes.append(report.outcome)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a whole run in which EMOTUNE_REQUIRE_REAL_DATA is set and tests of the real data were skipped or missing.

    Where several processes share the tests, the one that started them hears of all reports, and judges.
    """
    required = os.environ.get("EMOTUNE_REQUIRE_REAL_DATA") and not hasattr(session.config, "workerinput")
    if required and session.testscollected and ("skipped" in _real_outcomes or not _real_outcomes):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line("EMOTUNE_REQUIRE_REAL_DATA is set, and tests of the real data did not run.", red=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests, start the slow ones first, so that none is left alone with one at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: "slow" not in item.keywords)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Behind each module, take what is alive by now out of the garbage collector's sight.

    Every training collects garbage, and would look at all objects of the libraries each time: half of a tiny training's time.
    """
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; the tests are skipped where there is none, unless EMOTUNE_REQUIRE_BROWSER is set."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        if os.environ.get("EMOTUNE_REQUIRE_BROWSER"):
            pytest.fail("EMOTUNE_REQUIRE_BROWSER is set, and there is no Chromium")
        pytest.skip("there is no Chromium to look at the pages with")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        yield launched
        launched.close()
