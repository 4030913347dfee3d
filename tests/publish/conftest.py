"""A saved folder as `emotune run` writes it, made without a run, and a Hub on this machine that takes it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emotune.folder.files import CARD, PICTURES, REPORT
from emotune.folder.format import PREDICTIONS, DataEntry, Evidence, versions
from emotune.folder.tuned import describe, write_model
from tests.hub_server import Hub, hub_environment, serve_hub
from tests.hub_store import Account

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.folder.tuned import TunedClassifier
    from emotune.models.classifier import Classifier

WRITER, READER, STRANGER = "hf_of_ada_who_writes", "hf_of_ada_who_reads", "hf_of_bob"
REPORT_TEXTS = 2


@pytest.fixture(scope="session")
def pushable(
    tiny_tuned: TunedClassifier, tiny_base: Classifier, tiny_data: TextDataset, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a run on data that the Hub has. Shared: copy it before changing anything."""
    from emotune.evaluation.compare import compare
    from emotune.evaluation.evaluate import evaluate
    from emotune.evaluation.saved import write_evaluation
    from emotune.handover import trust_in
    from emotune.report.model_card import model_card

    after = evaluate(tiny_tuned, tiny_data.test)
    card = model_card(
        classifier=tiny_tuned,
        dataset_name="dair-ai/emotion",
        dataset_notes=(),
        comparison=compare(evaluate(tiny_base, tiny_data.test), after),
        trust=trust_in(after, tiny_tuned.temperature),
        versions=versions(),
        command="emotune run",
        created="2026-01-02 03:04 UTC",
    )
    folder = tmp_path_factory.mktemp("pushable") / "tuned"
    folder.mkdir()
    write_model(tiny_tuned, folder)
    write_evaluation(after, folder / PREDICTIONS)
    for picture in PICTURES:
        (folder / picture).write_bytes(b"\x89PNG")
    (folder / CARD).write_text(card, encoding="utf-8")
    examples = "".join(f'<div class="example"><p>{text}</p></div>' for text in tiny_data.test.texts[:REPORT_TEXTS])
    (folder / REPORT).write_text(f"<html>{examples}</html>", encoding="utf-8")
    data = DataEntry(name="dair-ai/emotion", was_local=False, fingerprint="f" * 64, rows={"test": len(after.split)})
    evidence = Evidence(
        created="2026-01-02 03:04 UTC",
        configuration={"data": {"config": "split", "revision": None}},
        data=data,
        metrics={"after": asdict(after.metrics)},
    )
    describe(tiny_tuned, folder, evidence)
    return folder


@pytest.fixture
def folder(pushable: Path, tmp_path: Path) -> Path:
    """A copy of the folder, to be changed."""
    return Path(shutil.copytree(pushable, tmp_path / "tuned"))


def mistakes_in_card(card: str) -> list[str]:
    """What the Hub finds wrong in a card, as far as its rules are known: the model-index, and codes of licences."""
    from huggingface_hub import ModelCard

    data: Any = ModelCard(card).data.to_dict()
    found = [f'"license" must be one of [...], and is {data["license"]}' for _ in [0] if data.get("license") == "mine"]
    for model in data.get("model-index", []):
        for result in model["results"]:
            required = (result["task"]["type"], result["dataset"]["type"], result["dataset"]["name"])
            found += ['"model-index" is incomplete'] if not all(isinstance(value, str) for value in required) else []
            found += ['"value" is required' for metric in result["metrics"] if "value" not in metric]
    return found


@contextmanager
def serve(**more: Any) -> Iterator[Hub]:
    """A Hub with three tokens: two of user, of which one may write, and one of somebody else."""
    accounts = {WRITER: Account("user"), READER: Account("user", may_write=False), STRANGER: Account("bob")}
    with serve_hub(accounts=accounts, validator=mistakes_in_card, **more) as running:
        yield running


def session(hub: Hub | str, cache: Path, script: str, *, token: str | None = WRITER, **extra: str) -> dict[str, Any]:
    """Run a script in a process that talks to a Hub; its `attempt`s give their value, or their error's class and message.

    Warnings of the Hub's library are errors, and the token must not be printed.
    """
    source = f"""
import json
from dataclasses import asdict, is_dataclass
import emotune
from emotune.system.errors import EmotuneError

found = {{}}
def attempt(what, call, *args, **options):
    try:
        value = call(*args, **options)
    except EmotuneError as error:
        assert error.exit_code == 2 or type(error).__name__ == "VerificationError"
        found[what] = f"{{type(error).__name__}}: {{error}}"
    else:
        found[what] = asdict(value) if is_dataclass(value) else value
{script}
print(json.dumps(found))
"""
    extra |= {} if token is None else {"HF_TOKEN": token}
    environment = hub_environment(hub if isinstance(hub, str) else hub.endpoint, cache, **extra)
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", source],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1000,
    )
    assert done.returncode == 0, done.stderr
    assert not any(secret in done.stdout + done.stderr for secret in (WRITER, READER, STRANGER))
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
