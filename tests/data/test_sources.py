"""Places and files that are no data of ours: no traceback for any of them, and advice that can be followed as it is printed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from emotune.data.audit import audit_source
from emotune.data.load import load_data
from emotune.system.errors import DataError

ROWS = [{"text": f"message {i}", "label": "joy" if i % 3 else "anger"} for i in range(12)]
LONG = "a long name of a folder " * 5


def refusal(source: str | Path) -> str:
    with pytest.raises(DataError) as caught:
        load_data(source)
    return str(caught.value)


class TestPatterns:
    @pytest.mark.parametrize("pattern", ["**/*.csv", "*/a.csv", "[", "a[.csv", "**"])
    def test_of_all_kinds_that_match_nothing_are_refused(self, pattern: str, tmp_path: Path) -> None:
        assert "is a pattern" in refusal(f"{tmp_path}/x/{pattern}")


class TestFoldersThatMayNotBeRead:
    @pytest.mark.parametrize("name", ["", "inner"])
    def test_are_no_traceback(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "inner").mkdir()
        forbidden, listing = tmp_path / name, Path.iterdir

        def refuse(self: Path) -> object:
            if self == forbidden:
                raise PermissionError(13, "Permission denied")
            return listing(self)

        monkeypatch.setattr(Path, "iterdir", refuse)
        assert f"The folder {tmp_path} " in refusal(tmp_path)


class TestWideAndDeepFolders:
    def test_are_searched_a_few_levels_down(self, tmp_path: Path) -> None:
        (tmp_path / "reviews" / "train" / "pos").mkdir(parents=True)
        (tmp_path / "reviews" / "train" / "pos" / "1.txt").write_text("great", encoding="utf-8")
        assert "such as 'reviews/train/pos/1.txt'" in refusal(tmp_path)

    def test_are_not_walked_to_the_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        deep = tmp_path.joinpath(*"abcdefgh")
        deep.mkdir(parents=True)
        seen: list[Path] = []
        listing = Path.iterdir
        monkeypatch.setattr(Path, "iterdir", lambda self: seen.append(self) or listing(self))  # type: ignore[func-returns-value]
        assert "holds no data files" in refusal(tmp_path)
        assert len(set(seen)) <= 4


class TestNamesInAdvice:
    def test_of_folders_are_whole(self, tmp_path: Path) -> None:
        inner = tmp_path / LONG / "inner"
        inner.mkdir(parents=True)
        (inner / "train.csv").touch()
        assert f"'{inner}'. Give one" in refusal(tmp_path / LONG)

    def test_of_what_is_missing_are_whole_and_safe(self, tmp_path: Path) -> None:
        assert f"'{tmp_path}/{LONG}.csv'" in refusal(f"{tmp_path}/{LONG}.csv")
        assert r"\x1b[31m" in refusal(f"{tmp_path}/{LONG}\x1b[31m.csv")

    def test_of_files_are_words_of_a_command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if shutil.which("jq") is None:
            pytest.skip("jq is not installed")
        monkeypatch.chdir(tmp_path)
        row = {"review": {"it's": "a"}, "label": "b"}
        Path("my data.jsonl").write_text(json.dumps(row), encoding="utf-8")
        with pytest.raises(DataError) as caught:
            load_data("my data.jsonl", text_column="review.it's")
        command = re.search(r"jq .*$", str(caught.value), re.MULTILINE)
        assert command is not None
        subprocess.run(command[0], shell=True, check=True)
        flat = json.loads(Path("flat.jsonl").read_text(encoding="utf-8"))
        assert flat == {**row, "review.it's": "a"}


class TestArrow:
    @pytest.mark.parametrize("kind", ["file", "stream"])
    @pytest.mark.parametrize("suffix", [".arrow", ".feather"])
    def test_the_line_that_converts(
        self, kind: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import pyarrow as pa

        monkeypatch.chdir(tmp_path)
        table = pa.Table.from_pylist(ROWS)
        new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
        with new(f"d{suffix}", table.schema) as writer:
            writer.write_table(table)
        exec(refusal(f"d{suffix}").splitlines()[-1], {})  # our own advice
        assert [row.text for row in audit_source("d.parquet", label_errors=False).rows] == [row["text"] for row in ROWS]
