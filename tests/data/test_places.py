"""Data that is no file or folder of this machine: streams, patterns, URLs of web servers, of the Hub and of stores."""

from __future__ import annotations

import gc
import gzip
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from emotune.data.auditing.audit import audit_source
from emotune.data.load import load_data, load_split
from emotune.data.options import DataSource
from emotune.data.places.downloads import HubPlace, hub_place, is_url, without_secrets
from emotune.data.places.sources import is_portable
from emotune.system.errors import ConfigError, DataError, HubError

ROWS = [(f"message {i} of the day", ("anger", "joy")[i % 2]) for i in range(20)]
CSV = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)
JSONL = "".join(f'{{"text": "{text}", "label": "{label}"}}\n' for text, label in ROWS)
HTML = "<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>Your account</body></html>"


def texts_of(source: Any, **options: Any) -> list[str]:
    return [row.text for row in audit_source(DataSource(source=source, **options), label_errors=False).rows]


def refusal(source: Any, **options: Any) -> str:
    with pytest.raises((DataError, ConfigError, HubError)) as caught:
        load_data(source, **options)
    return str(caught.value)


EXPECTED = [text for text, _ in ROWS]


class Stream(io.TextIOWrapper):
    """Standard input, or a terminal."""

    def __init__(self, content: bytes, *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Put content into standard input; returns the folder of temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()

    def put(content: str | bytes, **options: Any) -> Path:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        monkeypatch.setattr("sys.stdin", Stream(content if isinstance(content, bytes) else content.encode(), **options))
        return folder

    return put


class TestStandardInput:
    @pytest.mark.parametrize("name", ["-", "/dev/stdin"])
    def test_is_read_and_its_format_said(self, name: str, piped: Callable[..., Path]) -> None:
        piped(CSV)
        data = load_data(name)
        assert data.name == "standard input"
        assert data.notes[0] == "Standard input is read as CSV, going by its content; --input-format names another."
        assert sorted(text for split in data.splits for text in split.texts) == sorted(EXPECTED)

    @pytest.mark.parametrize(
        ("content", "options"),
        [
            (JSONL, {}),
            (CSV.replace(",", ";"), {}),
            (CSV.replace(",", "\t"), {"input_format": "tsv"}),
            (CSV.replace(",", ";"), {"input_format": "text"}),
            (gzip.compress(CSV.encode()), {}),
        ],
    )
    def test_has_any_text_format(self, content: Any, options: dict[str, Any], piped: Callable[..., Path]) -> None:
        piped(content)
        assert texts_of("-", **options) == EXPECTED

    def test_is_read_once_and_may_be_loaded_again(self, piped: Callable[..., Path]) -> None:
        piped(CSV)
        assert load_data("-").fingerprint == load_data("-").fingerprint
        assert len(load_split("-", labels=("anger", "joy"))) == 20

    def test_leaves_no_copy(self, piped: Callable[..., Path]) -> None:
        from emotune.data.formats import copies

        folder = piped(CSV)
        load_data("-")
        assert len(list(folder.iterdir())) == 1
        copies._standard_input = None
        gc.collect()
        assert list(folder.iterdir()) == []

    def test_is_named_in_messages(self, piped: Callable[..., Path]) -> None:
        piped(CSV + "one, two, three\n")
        assert refusal("-").startswith("Standard input, line 22: 3 fields, but the header has 2.")
        piped(CSV + ",joy\n" * 2)
        assert refusal("-").startswith("standard input: the text is empty or blank in 2 rows")
        piped("a,b\n1,2\n")
        assert "standard input: its first line" in refusal("-")

    def test_is_not_empty(self, piped: Callable[..., Path]) -> None:
        piped("")
        assert refusal("-") == "Standard input is empty (0 bytes)."

    def test_a_damaged_archive_is_refused(self, piped: Callable[..., Path]) -> None:
        # The end of an archive, whose list of files is not where it says.
        end = (
            b"PK\x05\x06"
            + bytes(4)
            + b"\x01\0\x01\0"
            + (50).to_bytes(4, "little")
            + (10).to_bytes(4, "little")
            + bytes(2)
        )
        piped(b"PK\x03\x04" + bytes(100) + end)
        with pytest.raises(DataError, match="damaged"):
            load_data("-")

    def test_is_no_terminal(self, piped: Callable[..., Path]) -> None:
        piped(CSV, terminal=True)
        assert "is a terminal" in refusal("-")

    def test_is_not_the_data_and_a_split(self, piped: Callable[..., Path], tmp_path: Path) -> None:
        piped(CSV)
        assert "is the data already" in refusal("-", test="-")
        (tmp_path / "d.csv").write_text(CSV, encoding="utf-8")
        assert len(load_data(tmp_path / "d.csv", test="-").test) == 20

    def test_has_a_largest_size(self, piped: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("emotune.data.formats.copies.LARGEST", 100)
        folder = piped(CSV)
        assert "more than 100 bytes" in refusal("-")
        gc.collect()
        assert list(folder.iterdir()) == []

    def test_alone_has_a_format_to_name(self, tmp_path: Path) -> None:
        (tmp_path / "d.csv").write_text(CSV, encoding="utf-8")
        assert "--input-format tsv is about standard input" in refusal(tmp_path / "d.csv", input_format="tsv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(CSV,))
    writer.start()
    data = load_data(tmp_path / "pipe")
    writer.join()
    assert data.name == "pipe"
    assert load_data(tmp_path / "pipe").fingerprint == data.fingerprint


def test_a_device_is_refused() -> None:
    assert "device" in refusal("/dev/null")


class TestPatterns:
    def write(self, folder: Path, *names: str) -> None:
        for at, name in enumerate(names):
            part = ROWS[10 * at : 10 * at + 10]
            lines = ["text,label", *(f"{text},{label}" for text, label in part)]
            (folder / name).write_text("\n".join(lines), encoding="utf-8")

    def test_are_the_shards_of_one_table(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.write(tmp_path, "part-2.csv", "part-10.csv")
        monkeypatch.chdir(tmp_path)
        data = load_data("part-*.csv")
        assert data.name == "part-*.csv"
        assert data.notes[0] == "'part-*.csv' matches 'part-2.csv', 'part-10.csv', read as one table."
        assert texts_of("part-*.csv") == EXPECTED

    def test_may_be_files_of_one_split(self, tmp_path: Path) -> None:
        self.write(tmp_path, "train.csv", "t-1.csv")
        assert len(load_data(tmp_path / "train.csv", test=f"{tmp_path}/t-?.csv").test) == 10

    def test_that_match_several_splits_are_refused(self, tmp_path: Path) -> None:
        self.write(tmp_path, "train.csv", "test.csv")
        assert f"Give the folder, '{tmp_path}'" in refusal(f"{tmp_path}/*.csv")

    def test_that_match_several_formats_are_refused(self, tmp_path: Path) -> None:
        self.write(tmp_path, "a.csv")
        (tmp_path / "b.jsonl").write_text(JSONL, encoding="utf-8")
        assert "several formats: 'a.csv', 'b.jsonl'" in refusal(f"{tmp_path}/*")

    def test_that_match_nothing_are_refused(self, tmp_path: Path) -> None:
        assert "matches no data file" in refusal(f"{tmp_path}/*.csv")

    def test_are_not_meant_where_a_file_has_the_name(self, tmp_path: Path) -> None:
        self.write(tmp_path, "a[1].csv", "a1.csv")
        assert texts_of(f"{tmp_path}/a[1].csv") == EXPECTED[:10]


@dataclass(frozen=True)
class Answer:
    """What a server answers: a body of some type, or another status and headers."""

    body: bytes
    type: str = "text/plain"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


ANSWERS = {
    "/d.csv": Answer(CSV.encode()),
    "/d.csv.gz": Answer(gzip.compress(CSV.encode()), "application/gzip"),
    "/export": Answer(CSV.encode(), "text/csv; charset=utf-8"),
    "/lines": Answer(JSONL.encode()),
    "/get": Answer(CSV.encode(), headers=(("Content-Disposition", 'attachment; filename="rows.csv"'),)),
    "/moved.csv": Answer(b"", status=302, headers=(("Location", "/d.csv"),)),
    "/page": Answer(HTML.encode(), "text/html"),
    "/hidden.csv": Answer(HTML.encode()),
    "/private.csv": Answer(b"", status=302, headers=(("Location", "/login?next=x"),)),
    "/login": Answer(HTML.encode(), "text/html"),
    "/secret.csv": Answer(b"no", status=403),
    "/empty.csv": Answer(b""),
    "/broken.csv": Answer(CSV.encode() + b"one, two, three\n"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = ANSWERS.get(self.path.partition("?")[0], Answer(b"", status=404))
            self.send_response(answer.status)
            for name, value in (*answer.headers, ("Content-Type", answer.type)):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


class TestWebServers:
    @pytest.mark.parametrize(
        ("path", "note"),
        [
            ("/d.csv", ""),
            ("/d.csv.gz", ""),
            ("/get", ""),
            ("/moved.csv", ""),
            ("/export", "It is read as CSV, going by the server's type; --input-format names another."),
            ("/lines", "It is read as JSON, going by its content; --input-format names another."),
        ],
    )
    def test_files_are_read(self, server: str, path: str, note: str) -> None:
        data = load_data(f"{server}{path}")
        assert data.name == f"{server}{path}"
        assert data.notes[0].startswith(f"Read from {server}{path}: ")
        assert data.notes[0].endswith(" bytes.")
        assert not note or data.notes[1] == note
        assert texts_of(f"{server}{path}") == EXPECTED

    def test_the_format_may_be_given(self, server: str) -> None:
        assert texts_of(f"{server}/lines", input_format="jsonl") == EXPECTED

    def test_a_split_may_be_there(self, server: str, tmp_path: Path) -> None:
        (tmp_path / "d.csv").write_text(CSV, encoding="utf-8")
        data = load_data(tmp_path / "d.csv", test=f"{server}/d.csv")
        assert len(data.test) == 20
        assert any(note.startswith("Read from") for note in data.notes)

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("/page", "answered with a web page (HTML), titled 'Log in', and no file of rows"),
            ("/hidden.csv", "answered with a web page (HTML), titled 'Log in'"),
            ("/private.csv", "/login', titled 'Log in'"),
            ("/secret.csv", "the server answered 403 (Forbidden). It asks for a login"),
            ("/none.csv", "the server answered 404 (Not Found). Check the address."),
            ("/empty.csv", "is empty (0 bytes)"),
            ("/broken.csv", "/broken.csv, line 22: 3 fields"),
        ],
    )
    def test_what_is_no_file_is_refused_with_what_was_seen(self, server: str, path: str, said: str) -> None:
        assert said in refusal(f"{server}{path}")

    def test_a_size_is_too_large(self, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("emotune.data.places.downloads.LARGEST", 100)
        assert f"has {len(CSV)} bytes, and at most 100 are downloaded" in refusal(f"{server}/d.csv")

    def test_nobody_answers(self) -> None:
        message = refusal("http://127.0.0.1:9/d.csv")
        assert message.startswith("'http://127.0.0.1:9/d.csv' could not be reached (")
        assert "give its path" in message

    def test_no_copy_is_left(self, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        load_data(f"{server}/d.csv")
        refusal(f"{server}/page")
        gc.collect()
        assert list(tmp_path.iterdir()) == []

    def test_secrets_are_kept_nowhere(self, server: str) -> None:
        data = load_data(f"{server}/d.csv?token=hush")
        assert "hush" not in " ".join((data.name, *data.notes))
        assert "hush" not in refusal(f"{server}/none.csv?token=hush")


class TestHub:
    @pytest.mark.parametrize(
        ("url", "place"),
        [
            ("hf://datasets/owner/name", HubPlace("owner/name", None, "")),
            ("hf://datasets/owner/name@v1/data/train.csv", HubPlace("owner/name", "v1", "data/train.csv")),
            ("https://huggingface.co/datasets/owner/name", HubPlace("owner/name", None, "")),
            ("https://huggingface.co/datasets/owner/name/viewer/default/train", HubPlace("owner/name", None, "")),
            ("https://huggingface.co/datasets/owner/name/tree/v1", HubPlace("owner/name", "v1", "")),
            (
                "https://huggingface.co/datasets/owner/name/blob/main/a%20b.csv",
                HubPlace("owner/name", "main", "a b.csv"),
            ),
            (
                "https://huggingface.co/datasets/owner/name/resolve/v1/x/d.csv?download=true",
                HubPlace("owner/name", "v1", "x/d.csv"),
            ),
            ("https://example.org/datasets/owner/name", None),
        ],
    )
    def test_urls_name_data_sets_and_files(self, url: str, place: HubPlace | None) -> None:
        assert hub_place(url) == place

    @pytest.mark.parametrize(
        "url",
        ["hf://owner/name", "https://huggingface.co/bert-base-uncased", "hf://datasets/owner", "hf://datasets/ /x"],
    )
    def test_other_urls_of_it_are_refused(self, url: str) -> None:
        assert "names no data set" in refusal(url)

    def test_a_folder_is_refused(self) -> None:
        assert "owner/name, or one of its files" in refusal("https://huggingface.co/datasets/owner/name/tree/main/data")

    def test_a_page_becomes_its_id(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from emotune.data.places.memory import open_tables

        asked: list[tuple[Any, ...]] = []

        def give(name: str, *, config: str | None, revision: str | None) -> Any:
            asked.append((name, config, revision))
            return open_tables({"train": ROWS, "dev": ROWS, "test": ROWS})

        monkeypatch.setattr("emotune.data.places.sources.open_hub_dataset", give)
        data = load_data("https://huggingface.co/datasets/owner/name/tree/v1", config="small")
        assert data.name == "owner/name"
        assert data.notes[0].endswith("is the data set owner/name of the Hugging Face Hub.")
        assert asked == [("owner/name", "small", "v1")]
        assert "names the revision 'v1', and 'v2' was given too" in refusal(
            "hf://datasets/owner/name@v1", revision="v2"
        )

    def test_a_file_is_downloaded_by_the_hub_library(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "d.csv").write_text(CSV, encoding="utf-8")
        asked: list[Any] = []

        def give(*arguments: Any, **options: Any) -> str:
            asked.append((*arguments, options["repo_type"], options["revision"]))
            return str(tmp_path / "d.csv")

        monkeypatch.setattr("emotune.system.hub.why_unreachable", lambda: None)
        monkeypatch.setattr("huggingface_hub.hf_hub_download", give)
        data = load_data("hf://datasets/owner/name/data/d.csv", revision="v2")
        assert asked == [("owner/name", "data/d.csv", "dataset", "v2")]
        assert data.notes[0].startswith("Read data/d.csv of the data set owner/name of the Hugging Face Hub: ")

    def test_offline_it_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("emotune.system.hub.why_unreachable", lambda: "no route")
        message = refusal("hf://datasets/owner/name/d.csv")
        assert "could not be reached (no route)" in message


class TestStores:
    def test_of_fsspec_are_read(self) -> None:
        import fsspec

        with fsspec.open("memory://bucket/d.csv", "wb") as file:
            file.write(CSV.encode())
        assert texts_of("memory://bucket/d.csv") == EXPECTED
        assert "there is no such file" in refusal("memory://bucket/none.csv")
        assert "is a folder" in refusal("memory://bucket")
        assert "is a pattern" in refusal("memory://bucket/*.csv")

    def test_that_nobody_knows_are_refused(self) -> None:
        assert "cannot be opened" in refusal("nowhere://bucket/d.csv")

    def test_whose_package_is_missing_name_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("emotune.system.extras.find_spec", lambda name: None)
        assert "pip install s3fs" in refusal("s3://bucket/d.csv")

    def test_files_of_this_machine(self, tmp_path: Path) -> None:
        (tmp_path / "d.csv").write_text(CSV, encoding="utf-8")
        assert texts_of(f"file://{tmp_path}/d.csv") == EXPECTED


@pytest.mark.parametrize(
    ("name", "portable"),
    [
        ("dair-ai/emotion", True),
        ("hf://datasets/owner/name", True),
        ("https://example.org/d.csv", True),
        ("https://example.org/d.csv?signature=x", False),
        ("https://me:word@example.org/d.csv", False),
        ("file:///home/me/d.csv", False),
        ("-", False),
        ("part-*.csv", False),
        (str(Path(__file__)), False),
    ],
)
def test_what_another_machine_finds_again(name: str, portable: bool) -> None:
    assert is_portable(name) is portable


def test_urls() -> None:
    assert is_url("s3://bucket/x")
    assert not is_url("C://x")
    assert not is_url("owner/name")
    assert without_secrets("https://me:word@example.org:80/d.csv?x=y#z") == "https://example.org:80/d.csv"
