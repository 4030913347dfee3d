"""Places and files that are no data of ours: no traceback for any of them, and advice that can be followed as it is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

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
