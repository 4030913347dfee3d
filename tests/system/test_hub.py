"""Models and data from a Hub: a server on this machine stands in for it, and processes of their own talk to it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emotune.models.bundled import bundled_hint
from emotune.system.errors import DataError, HubError
from emotune.system.hub import Kind, translate_hub_errors
from tests.hub_server import Hub, hub_environment, serve_hub

if TYPE_CHECKING:
    from emotune.models.classifier import Classifier

EMOTIONS = ["sadness", "joy", "love", "anger", "fear", "surprise"]
MODEL = "bert-base-uncased"
DATASET = "dair-ai/emotion"
TEXTS = ["defo pave difu", "bofa luvu"]
SPLIT_SIZES = {"train": 24, "validation": 12, "test": 12}

LOAD = f"""
from emotune.folder.base import load_base
from emotune.data.load import load_data

classifier = load_base({MODEL!r}, labels={EMOTIONS}, max_length=32)
batch = classifier.tokenizer({TEXTS}, padding=True, return_tensors="pt")
data = load_data({DATASET!r})
found = {{
    "name": classifier.name,
    "revision": classifier.revision,
    "logits": classifier.model(**batch).logits.tolist(),
    "labels": data.labels,
    "texts": {{split.name: split.texts for split in data.splits}},
    "label_ids": {{split.name: split.label_ids.tolist() for split in data.splits}},
}}
"""

# Collects the messages of several attempts, so that one process serves many tests.
ATTEMPT = """
from emotune.system.errors import EmotuneError
from emotune.folder.base import load_base
from emotune.data.load import load_data

found = {}
def attempt(what, call, *args, **options):
    try:
        call(*args, **options)
    except EmotuneError as error:
        found[what] = f"{type(error).__name__}: {error}"
"""


def run_script(script: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Run a script in a new process and give what it left in its variable `found`."""
    source = f"{script}\nimport json; print(json.dumps(found))"
    done = subprocess.run([sys.executable, "-c", source], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def emotion_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up data set laid out as dair-ai/emotion is: Parquet files, and label names in the card's front matter."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("emotion")
    (folder / "split").mkdir()
    for split, rows in SPLIT_SIZES.items():
        table = pa.table(
            {
                "text": [f"{split} message {row}" for row in range(rows)],
                "label": [row % len(EMOTIONS) for row in range(rows)],
            }
        )
        pq.write_table(table, folder / "split" / f"{split}-00000-of-00001.parquet")
    names = "\n".join(f"          '{i}': {emotion}" for i, emotion in enumerate(EMOTIONS))
    files = "\n".join(f"  - split: {split}\n    path: split/{split}-*" for split in SPLIT_SIZES)
    (folder / "README.md").write_text(
        f"""---
dataset_info:
- config_name: split
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
{names}
configs:
- config_name: split
  data_files:
{files}
  default: true
---
""",
        encoding="utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def hub(tiny_bert: Path, emotion_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    pickled = tmp_path_factory.mktemp("pickled")
    shutil.copytree(tiny_bert, pickled, dirs_exist_ok=True)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    models = {MODEL: tiny_bert, "owner/pickled": pickled, "owner/gated": tiny_bert}
    datasets = {DATASET: emotion_folder, "owner/gated-data": emotion_folder}
    with serve_hub(models, datasets, gated=["owner/gated", "owner/gated-data"]) as running:
        yield running


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub-cache")


@pytest.fixture(scope="module")
def online(hub: Hub, cache: Path) -> dict[str, Any]:
    """What a process finds that loads model and data from the Hub into a fresh cache."""
    return run_script(LOAD, hub.environment(cache))


@pytest.fixture(scope="module")
def refusals(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Messages of what cannot be loaded from a Hub that answers."""
    return run_script(
        ATTEMPT
        + """
labels = ["a", "b"]
attempt("pickled", load_base, "owner/pickled", labels=labels)
attempt("missing model", load_base, "owner/no-such-model", labels=labels)
attempt("missing minilm", load_base, "minilm", labels=labels)
attempt("gated model", load_base, "owner/gated", labels=labels)
attempt("missing revision", load_base, "bert-base-uncased", labels=labels, revision="v9")
attempt("missing data", load_data, "owner/no-such-data")
attempt("gated data", load_data, "owner/gated-data")
attempt("missing data revision", load_data, "dair-ai/emotion", revision="v9")
""",
        hub.environment(tmp_path_factory.mktemp("cache")),
    )


def local_logits(classifier: Classifier) -> list[list[float]]:
    batch = classifier.tokenizer(TEXTS, padding=True, return_tensors="pt")
    logits: list[list[float]] = classifier.model(**batch).logits.tolist()
    return logits


@pytest.mark.slow
def test_model_is_the_one_of_the_local_folder(online: dict[str, Any], hub: Hub, tiny_bert: Path) -> None:
    from emotune.folder.base import load_base

    local = load_base(tiny_bert, labels=EMOTIONS, max_length=32)
    assert online["logits"] == [pytest.approx(row, abs=1e-5) for row in local_logits(local)]
    assert online["name"] == MODEL
    assert online["revision"] == hub.commits[MODEL]


@pytest.mark.slow
def test_data_keeps_label_order_and_splits(online: dict[str, Any]) -> None:
    assert online["labels"] == EMOTIONS
    assert {name: len(texts) for name, texts in online["texts"].items()} == SPLIT_SIZES
    assert online["texts"]["test"][:2] == ["test message 0", "test message 1"]
    assert online["label_ids"]["validation"] == [*range(6), *range(6)]


@pytest.mark.slow
@pytest.mark.usefixtures("online")
def test_only_what_loading_needs_is_downloaded(hub: Hub) -> None:
    downloaded = {request.rpartition("/")[2] for request in hub.requests if f"{MODEL}/resolve" in request}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= downloaded
    assert not any(name.endswith((".bin", ".py")) for name in downloaded)


@pytest.mark.slow
def test_cached_model_and_data_load_offline(online: dict[str, Any], cache: Path) -> None:
    nowhere = hub_environment("http://127.0.0.1:1", cache, HF_HUB_OFFLINE="1")
    assert run_script(LOAD, nowhere) == online


@pytest.mark.slow
def test_urls_of_data_sets_and_their_files_are_read(hub: Hub, cache: Path) -> None:
    """hf:// goes through the Hub's library, and pages of the Hub become ids; a file that lacks is said."""
    file = f"hf://datasets/{DATASET}/split/test-00000-of-00001.parquet"
    found = run_script(
        f"{ATTEMPT}"
        f"one = load_data({file!r}, validation_size=0.3, test_size=0.3, "
        "map={str(i): 'ab'[i % 2] for i in range(6)})\n"
        f"whole = load_data('{hub.endpoint}/datasets/{DATASET}/viewer')\n"
        f"attempt('missing', load_data, 'hf://datasets/{DATASET}/none.csv')\n"
        "found |= {'rows': sum(map(len, one.splits)), 'notes': [one.notes[0], whole.notes[0]], 'name': whole.name}\n",
        hub.environment(cache),
    )
    assert found["rows"] == SPLIT_SIZES["test"]
    assert found["name"] == DATASET
    assert found["notes"][0].startswith(
        f"Read split/test-00000-of-00001.parquet of the data set {DATASET} of the Hugging Face Hub"
    )
    assert found["notes"][1].endswith(f"is the data set {DATASET} of the Hugging Face Hub.")
    assert "lacks a file that is needed" in found["missing"]


def test_pickled_weights_are_refused(refusals: dict[str, str], hub: Hub) -> None:
    assert refusals["pickled"].startswith("ModelError: 'owner/pickled' has no model.safetensors")
    assert not any(request.endswith("pytorch_model.bin") for request in hub.requests)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("missing model", ["'owner/no-such-model'", "spelling", "hf auth login"]),
        ("missing minilm", ["'minilm'", "there is no folder of that name.", "Did you mean bundled:minilm"]),
        ("gated model", ["'owner/gated'", "gated", "Ask for access", "hf auth login"]),
        ("missing revision", [f"'{MODEL}'", "no such revision"]),
        ("missing data", ["owner/no-such-data", "hf auth login"]),
        ("gated data", ["owner/gated-data", "gated", "hf auth login"]),
        ("missing data revision", [f"'{DATASET}'", "'v9'"]),
    ],
)
def test_refusal_names_the_cause_and_the_remedy(what: str, words: list[str], refusals: dict[str, str]) -> None:
    message = refusals[what]
    assert message.startswith("HubError: ")
    assert all(word in message for word in words), message
    assert len(message.splitlines()) <= 3


@pytest.mark.slow
def test_unreachable_hub_is_found_fast_and_names_the_ways_on(tmp_path: Path) -> None:
    # One port refuses connections; the other accepts them and never answers, as a broken network does.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        script = f"""{ATTEMPT}
import emotune.system.hub, huggingface_hub.constants
emotune.system.hub.PROBE_SECONDS = 0.5
for what, port in (("refuses", 1), ("hangs", {silent.getsockname()[1]})):
    huggingface_hub.constants.ENDPOINT = f"http://127.0.0.1:{{port}}"
    attempt(what + " model", load_base, {MODEL!r}, labels=["a", "b"])
    attempt(what + " data", load_data, {DATASET!r})
"""
        start = time.monotonic()
        found = run_script(script, hub_environment("http://127.0.0.1:1", tmp_path))
    assert time.monotonic() - start < 60  # the libraries alone would wait for minutes
    assert set(found) == {"refuses model", "refuses data", "hangs model", "hangs data"}
    ways = ("--preset quickstart", "--model bundled:minilm", "--model FOLDER", "--data FILE")
    for message in found.values():
        assert message.startswith("HubError: The Hugging Face Hub (http://127.0.0.1:")
        assert all(way in message for way in ways)
        assert len(message.splitlines()) == 3
    for what, here in (("model", "folder"), ("data", "file or folder")):
        assert f"there is no {here} of that name." in found[f"refuses {what}"]
    assert "no answer within 0.5 seconds" in found["hangs model"] or "timed out" in found["hangs model"]


@pytest.mark.slow
@pytest.mark.usefixtures("online")
def test_unreachable_hub_with_a_cached_model_uses_it_and_says_so(cache: Path, hub: Hub) -> None:
    script = f"""
import logging
from emotune.models.finding import download_model

records = []
handler = logging.Handler()
handler.emit = lambda record: records.append(record.getMessage())
logging.getLogger("emotune.system.hub").addHandler(handler)
found = {{"folder": str(download_model({MODEL!r}, None)), "records": records}}
"""
    found = run_script(script, hub_environment("http://127.0.0.1:1", cache))
    assert Path(found["folder"]).name == hub.commits[MODEL]
    assert len(found["records"]) == 1
    assert f"model '{MODEL}' was taken from the local cache" in found["records"][0]


@pytest.mark.slow
@pytest.mark.usefixtures("online")
def test_cache_of_another_program_serves_if_it_holds_what_is_needed(cache: Path, hub: Hub, tmp_path: Path) -> None:
    shutil.copytree(cache / "hub", tmp_path / "hub", symlinks=True)
    snapshot = tmp_path / "hub" / f"models--{MODEL}" / "snapshots" / hub.commits[MODEL]
    script = f"""
from pathlib import Path
from emotune.system.errors import HubError
from emotune.models.finding import download_model

snapshot = Path({str(snapshot)!r})
(snapshot / "tokenizer_config.json").unlink()
found = {{"without an extra": str(download_model({MODEL!r}, None))}}
(snapshot / "model.safetensors").unlink()
try:
    download_model({MODEL!r}, None)
except HubError as error:
    found["without weights"] = str(error)
"""
    found = run_script(script, hub_environment("http://127.0.0.1:1", tmp_path, HF_HUB_OFFLINE="1"))
    assert found["without an extra"] == str(snapshot)
    assert "not in the local cache" in found["without weights"]


@pytest.mark.slow
def test_tokenizer_alone_leaves_the_weights_on_the_hub(tiny_bert: Path, tmp_path: Path) -> None:
    script = f"""
from emotune.system.errors import HubError
from emotune.folder.base import load_base
from emotune.models.load import load_tokenizer

tokenizer = load_tokenizer({MODEL!r}, max_length=32)
found = {{"name": tokenizer.name_or_path, "ids": tokenizer({TEXTS})["input_ids"]}}
try:
    found["base"] = load_base({MODEL!r}, labels=["a", "b"], max_length=32).name
except HubError as error:
    found["base"] = str(error)
"""
    with serve_hub({MODEL: tiny_bert}) as hub:
        online = hub.environment(tmp_path)
        first = run_script(script.partition("try:")[0], online)
        assert not any("safetensors" in request for request in hub.requests if "/resolve/" in request)
        nowhere = run_script(script, hub_environment("http://127.0.0.1:1", tmp_path, HF_HUB_OFFLINE="1"))
        assert "not in the local cache" in nowhere.pop("base")
        assert nowhere == first
        assert run_script(script, online) == {**first, "base": MODEL}
    assert first["name"] == MODEL
    assert [len(ids) for ids in first["ids"]] == [5, 4]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (HTTPStatus.FORBIDDEN, f"HubError: The Hub refused to provide the model '{MODEL}' (HTTP status 403)"),
        (HTTPStatus.SERVICE_UNAVAILABLE, "HubError: The Hugging Face Hub (http://127.0.0.1:"),
    ],
)
def test_failing_hub_says_its_status(status: HTTPStatus, message: str, tmp_path: Path) -> None:
    script = f'{ATTEMPT}\nattempt("model", load_base, {MODEL!r}, labels=["a", "b"])'
    with serve_hub(status=status) as hub:
        found = run_script(script, hub.environment(tmp_path))["model"]
    assert found.startswith(message)
    assert f"HTTP status {status.value}" in found


@pytest.mark.parametrize("error", [KeyError("text"), DataError("no such column"), RuntimeError("out of memory")])
def test_other_errors_pass_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, translate_hub_errors("owner/name", "dataset"):
        raise error
    assert raised.value is error


def test_offline_mode_with_nothing_cached_says_what_to_unset() -> None:
    with (
        pytest.raises(
            HubError,
            match=r"not in the local cache.*HF_HUB_OFFLINE.*\n.*--model bundled:minilm.*\n.*--preset quickstart",
        ),
        translate_hub_errors("owner/name", "model"),
    ):
        raise ConnectionError("offline mode is enabled")


@pytest.mark.parametrize("name", ["minilm", "mini-lm", "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_names_like_that_of_the_bundled_model_are_told_of_it(name: str) -> None:
    def message(what: str, kind: Kind) -> str:
        hint = bundled_hint(what) if kind == "model" else ""
        with pytest.raises(HubError) as raised, translate_hub_errors(what, kind, hint):
            raise ConnectionError("offline mode is enabled")
        return str(raised.value)

    hint = "there is no folder of that name. Did you mean bundled:minilm, which comes with emotune?"
    assert hint in message(name, "model")
    assert len(message(name, "model").splitlines()) == 3
    assert "Did you mean" not in message("bert-base-uncasd", "model")
    assert "Did you mean" not in message(name, "dataset")
