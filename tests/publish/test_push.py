"""Pushing to a Hub on this machine and loading from there; processes of their own talk to it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from emotune.folder.files import CARD, KNOWN_FILES, REPORT
from emotune.folder.format import KEPT, PREDICTIONS
from tests.hub_server import Hub

from .conftest import READER, STRANGER, serve, session

pytestmark = pytest.mark.slow
NAME = "user/emotions"
TEXTS = ["defo pave difu", "bofa luvu"]
SCORES = {".eval_results/accuracy.yaml", ".eval_results/macro_f1.yaml"}

LOAD = """
def labels(name, base, texts, **options):
    classifier = emotune.load(name, base=base, **options)
    return emotune.predict(classifier, texts).probabilities.tolist()
"""


def state(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def files_of(hub: Hub, branch: str = "main", name: str = NAME) -> dict[str, bytes]:
    repository = hub.model(name)
    return repository.files(repository.branches[branch])


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def mine(pushable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with two files that emotune does not know."""
    folder = tmp_path_factory.mktemp("mine") / "tuned"
    shutil.copytree(pushable, folder)
    (folder / "customers.csv").write_text("text\nsecret\n")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    return folder


@pytest.fixture(scope="module")
def pushed(hub: Hub, mine: Path, cache: Path) -> dict[str, Any]:
    before = state(mine)
    script = f"""
folder = {str(mine)!r}
attempt("first", emotune.push, folder, {NAME!r}, with_texts=True, message="The first", license="mit", language="en")
attempt("again", emotune.push, folder, {NAME!r}, with_texts=True, license="mit", language=["en"])
attempt("branch", emotune.push, folder, {NAME!r}, with_texts=False, revision="no-texts")
attempt("public", emotune.push, folder, "user/open", with_texts=False, private=False)
"""
    found = session(hub, cache, script)
    assert state(mine) == before
    return found


def test_a_pushed_folder_is_the_folder_in_one_commit(pushed: dict[str, Any], hub: Hub, mine: Path) -> None:
    first = pushed["first"]
    there = hub.model(NAME).files(first["commit"])
    assert hub.model(NAME).messages[0] == "The first"
    assert set(there) == {*first["files"], ".gitattributes"}
    assert set(first["files"]) == {path.name for path in mine.iterdir() if path.name in KNOWN_FILES} | SCORES
    assert {name: there[name] for name in there if name not in {CARD, ".gitattributes", *SCORES}} == {
        path.name: path.read_bytes() for path in mine.iterdir() if path.name in KNOWN_FILES and path.name != CARD
    }
    assert first["url"] == f"{hub.endpoint}/{NAME}"
    assert first["unknown"] == ["customers.csv", "pytorch_model.bin"]


def test_a_pushed_folder_is_private_unless_told_otherwise(pushed: dict[str, Any], hub: Hub) -> None:
    assert pushed["first"]["private"] is True
    assert hub.model(NAME).private
    assert not hub.model("user/open").private


def test_a_folder_that_has_not_changed_makes_no_commit(pushed: dict[str, Any], hub: Hub) -> None:
    assert pushed["again"]["commit"] == pushed["first"]["commit"] == hub.model(NAME).commit
    assert (pushed["first"]["changed"], pushed["again"]["changed"]) == (True, False)


def test_a_folder_without_texts_says_so_in_its_description(pushed: dict[str, Any], hub: Hub, mine: Path) -> None:
    there = files_of(hub, "no-texts")
    assert not {PREDICTIONS, KEPT, REPORT} & set(there)
    assert pushed["branch"]["left_out"] == [PREDICTIONS, KEPT, REPORT]
    mine_described = json.loads((mine / "emotune.json").read_text(encoding="utf-8"))
    assert json.loads(there["emotune.json"]) == mine_described | {"left_out": [PREDICTIONS, KEPT, REPORT]}
    card = there[CARD].decode()
    assert "| `predictions.parquet` |" not in card
    assert "Left out when this was pushed: `predictions.parquet`, `quantization.parquet` and `report.html`" in card
    assert any("Earlier commits still hold" in note for note in pushed["branch"]["notes"])
    texts = (mine / REPORT).read_text().split("<p>")[1].split("<")[0]
    assert not any(texts.encode() in content for content in there.values())


def test_a_pushed_folder_loads_and_verifies_as_the_local_one(
    pushed: dict[str, Any], hub: Hub, cache: Path, mine: Path, tiny_bert: Path
) -> None:
    commit = pushed["first"]["commit"]
    script = f"""{LOAD}
base, texts = {str(tiny_bert)!r}, {TEXTS}
attempt("local", labels, {str(mine)!r}, base, texts)
attempt("main", labels, {NAME!r}, base, texts)
attempt("pinned", labels, "{NAME}@{commit}", base, texts)
attempt("branch", labels, {NAME!r}, base, texts, revision="no-texts")
attempt("verified", emotune.verify, {NAME!r}, base=base)
attempt("verified branch", emotune.verify, "{NAME}@no-texts", base=base)
from emotune.evaluation.saved import read_evaluation
from emotune.folder.place import saved_folder
attempt("predictions", lambda: len(read_evaluation(saved_folder({NAME!r})).split))
attempt("no predictions", lambda: read_evaluation(saved_folder("{NAME}@no-texts")))
attempt("many", lambda: sorted(emotune.load_many([{NAME!r}, {str(mine)!r}], base=base)))
"""
    found = session(hub, cache / "readers", script, token=READER)
    assert found["main"] == found["pinned"] == found["branch"] == found["local"]
    assert found["verified"]["rows"] == 8 + 36
    assert (found["verified"]["left_out"], found["verified"]["changed_labels"]) == ([], 0)
    assert found["verified branch"]["rows"] == 8
    assert found["verified branch"]["left_out"] == [PREDICTIONS, KEPT, REPORT]
    assert found["predictions"] == 36
    assert "left out when the folder was pushed" in found["no predictions"]
    assert found["many"] == sorted([NAME, str(mine)])
    # Only what emotune knows was fetched, and a commit that is here needs no network.
    fetched = {request.rpartition("/")[2] for request in hub.requests if "/resolve/" in request}
    assert fetched <= set(KNOWN_FILES)
    asked = len(hub.requests)
    script = f"""{LOAD}
attempt("pinned", labels, "{NAME}@{commit}", {str(tiny_bert)!r}, {TEXTS})
attempt("main", labels, {NAME!r}, {str(tiny_bert)!r}, {TEXTS})
attempt("unknown", labels, "{NAME}@{"0" * 40}", None, [])
"""
    nowhere = session("http://127.0.0.1:1", cache / "readers", script, token=None)
    assert nowhere["pinned"] == nowhere["main"] == found["local"]
    assert nowhere["unknown"].startswith("HubError: ")
    assert len(hub.requests) == asked


def test_what_cannot_be_pushed_says_why(folder: Path, tiny_bert: Path, tmp_path: Path) -> None:
    other = {"user/other": tiny_bert, "user/secret": tiny_bert, "bob/secret": tiny_bert}
    with serve(models=other, private=["user/secret", "bob/secret"]) as hub:
        requests = len(hub.requests)
        script = f"""
folder = {str(folder)!r}
push = emotune.push
attempt("no answer", push, folder, {NAME!r})
attempt("no name", push, folder, "emotions", with_texts=True)
attempt("commit", push, folder, {NAME!r}, with_texts=True, revision={"a" * 40!r})
attempt("language", push, folder, {NAME!r}, with_texts=True, language="English")
attempt("blank", push, folder, {NAME!r}, with_texts=True, message=" ")
attempt("no folder", push, folder + "s", {NAME!r}, with_texts=True)
"""
        found = session(hub, tmp_path / "cache", script)
        assert len(hub.requests) == requests  # nothing of this needs the Hub
        script = f"""
folder = {str(folder)!r}
push = emotune.push
attempt("licence", push, folder, {NAME!r}, with_texts=True, license="mine")
attempt("not ours", push, folder, "user/secret", with_texts=True)
attempt("public", push, folder, "user/other", with_texts=True, overwrite=True)
attempt("private", push, folder, "user/secret", with_texts=True, private=False, overwrite=True)
attempt("another's", push, folder, "bob/secret", with_texts=True)
attempt("another's new", push, folder, "bob/new", with_texts=True)
attempt("replaced", push, folder, "user/secret", with_texts=True, overwrite=True)
"""
        found |= session(hub, tmp_path / "cache", script)
        assert set(hub.repositories) == {("models", name) for name in other}
        assert not set(files_of(hub, name="user/secret")) - set(found["replaced"]["files"])
        assert hub.model("user/secret").messages == ["Push tiny-bert with LoRA"]
        script = f'attempt("reader", emotune.push, {str(folder)!r}, {NAME!r}, with_texts=True)'
        found |= session(hub, tmp_path / "cache", script, token=READER)
        found |= session(hub, tmp_path / "cache", script.replace("reader", "unknown token"), token="hf_of_nobody")
        found |= session(hub, tmp_path / "cache", script.replace("reader", "no token"), token=None)
        offline = script.replace("reader", "offline")
        found |= session(hub, tmp_path / "cache", offline, HF_HUB_OFFLINE="1")
        found |= session("http://127.0.0.1:1", tmp_path / "cache", script.replace("reader", "unreachable"))
    expected = {
        "no answer": (
            "ConfigError",
            "36 texts in predictions.parquet, 156 texts in quantization.parquet, 2 texts in report.html",
            "--with-texts",
            "--without-texts",
        ),
        "no name": ("ConfigError", "'emotions'", "user/name"),
        "commit": ("ConfigError", "--revision", "branch"),
        "language": ("ConfigError", "'English'", "ISO 639"),
        "blank": ("ConfigError", "--message"),
        "no folder": ("ArtifactError", "There is no folder"),
        "licence": ("HubError", '"license" must be one of', NAME),
        "not ours": ("OutputError", "no emotune.json", "'model.safetensors'", "--overwrite"),
        "public": ("OutputError", "public", "--public"),
        "private": ("OutputError", "private", "--public"),
        "another's": ("HubError", "403", "namespace bob"),
        "another's new": ("HubError", "403", "'bob'", "HF_TOKEN"),
        "reader": ("HubError", "403", "'user'", "write permission"),
        "unknown token": ("HubError", "401", "Invalid credentials", "hf auth login"),
        "no token": ("HubError", "hf auth login", "HF_TOKEN"),
        "offline": ("HubError", "HF_HUB_OFFLINE"),
        "unreachable": ("HubError", "could not be reached", "127.0.0.1:1"),
    }
    for what, (kind, *words) in expected.items():
        assert found[what].startswith(f"{kind}: "), (what, found[what])
        assert all(word in found[what] for word in words), (what, found[what])
        assert len(found[what].splitlines()) <= 3


def test_a_push_that_breaks_off_leaves_nothing_half_written(folder: Path, tmp_path: Path) -> None:
    script = f'attempt("{{}}", emotune.push, {str(folder)!r}, {NAME!r}, with_texts=True)'
    with serve() as hub:
        hub.failures["PUT /large"] = HTTPStatus.FORBIDDEN
        found = session(hub, tmp_path / "cache", script.format("upload"))
        assert set(files_of(hub)) == {".gitattributes"}
        hub.failures.clear()
        for what, status in (("moved", HTTPStatus.PRECONDITION_FAILED), ("failed", HTTPStatus.INTERNAL_SERVER_ERROR)):
            hub.failures["POST /api/models/user/emotions/commit"] = status
            found |= session(hub, tmp_path / "cache", script.format(what))
            assert set(files_of(hub)) == {".gitattributes"}
        hub.failures.clear()
        assert session(hub, tmp_path / "cache", script.format("done"))["done"]["changed"]
    assert "403" in found["upload"]
    assert "was created, and is empty" in found["upload"]
    assert "push again" in found["moved"]
    assert "HTTP status 500" in found["failed"]
    assert "was created" not in found["failed"]


def test_a_smaller_folder_takes_the_old_files_with_it(folder: Path, tmp_path: Path) -> None:
    with serve() as hub:
        script = f'attempt("{{}}", emotune.push, {str(folder)!r}, {NAME!r}, with_texts={{}})'
        session(hub, tmp_path / "cache", script.format("full", True))
        repository = hub.model(NAME)
        repository.add("main", files_of(hub) | {"LICENSE": b"mine", "model.safetensors": b"stale"})
        (folder / "report.html").unlink()
        found = session(hub, tmp_path / "cache", script.format("small", False))["small"]
        assert set(files_of(hub)) == {*found["files"], ".gitattributes", "LICENSE"}
        assert any("Earlier commits still hold predictions.parquet" in note for note in found["notes"])


def test_what_is_damaged_or_not_ours_is_not_loaded(folder: Path, tiny_bert: Path, tmp_path: Path) -> None:
    with serve(models={"user/plain": tiny_bert, NAME: folder}, private=[NAME]) as hub:
        changed = files_of(hub)
        changed["adapter_model.safetensors"] += b"\0"
        hub.model(NAME).add("changed", changed)
        del changed["adapter_model.safetensors"]
        hub.model(NAME).add("missing", changed)
        script = f"""
load = emotune.load
attempt("plain", load, "user/plain")
attempt("changed", load, "{NAME}@changed")
attempt("missing", load, {NAME!r}, revision="missing")
attempt("no revision", load, "{NAME}@v9")
attempt("twice", load, "{NAME}@v9", revision="v9")
attempt("nothing", load, "user/emotion")
"""
        found = session(hub, tmp_path / "cache", script)
        script = f'attempt("stranger", emotune.load, {NAME!r})'
        found |= session(hub, tmp_path / "other", script, token=STRANGER)
        assert not any(request.endswith("plain/resolve/main/model.safetensors") for request in hub.requests)
    expected = {
        "plain": ("ArtifactError", "'user/plain'", "no emotune.json"),
        "changed": ("ArtifactError", NAME, "adapter_model.safetensors", "changed"),
        "missing": ("ArtifactError", NAME, "adapter_model.safetensors", "missing"),
        "no revision": ("HubError", NAME, "no such revision"),
        "twice": ("ArtifactError", "one of the two"),
        "nothing": ("HubError", "'user/emotion'", "private", "there is no folder of that name"),
        "stranger": ("HubError", NAME, "private"),
    }
    for what, (kind, *words) in expected.items():
        assert found[what].startswith(f"{kind}: "), (what, found[what])
        assert all(word in found[what] for word in words), (what, found[what])


def test_a_changed_folder_is_not_pushed(folder: Path) -> None:
    from emotune.publish.push import push
    from emotune.system.errors import ArtifactError

    (folder / "config.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"changed since it was saved: 'config\.json'"):
        push(folder, NAME, with_texts=False)
