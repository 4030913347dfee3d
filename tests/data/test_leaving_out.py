"""--map, --drop-unlabelled and --on-error: from Python, the command and TOML, and in saved folders."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from emotune.cli import app
from emotune.data.auditing.audit import audit_source
from emotune.data.left_out import left_out_file
from emotune.data.load import load_data, load_split
from emotune.data.options import DataSource
from emotune.system.errors import ConfigError, DataError

LABELS = ("joy", "Joy", "anger", "rage")
NAMES = {"Joy": "joy", "rage": "anger"}


def write(path: Path, labels: tuple[str, ...] = LABELS, rows: int = 80, extra: str = "") -> Path:
    lines = [f"message {i} of the day,{labels[i % len(labels)]}" for i in range(rows)]
    path.write_text("\n".join(["text,label", *lines, ""]) + extra, encoding="utf-8")
    return path


def audited(path: Path, **options: Any) -> Any:
    return audit_source(DataSource(source=path, **options), label_errors=False)


class TestMap:
    def test_renames_and_says_so(self, tmp_path: Path) -> None:
        data = load_data(write(tmp_path / "d.csv"), map=NAMES)
        assert data.labels == ("anger", "joy")
        assert sum(split.counts["joy"] for split in data.splits) == 40
        note = "Labels renamed: 'Joy' to 'joy' (20 rows), 'rage' to 'anger' (20 rows)."
        assert note in data.notes
        assert note in audited(tmp_path / "d.csv", map=NAMES).notes
        assert note in load_split(tmp_path / "d.csv", labels=("anger", "joy"), map=NAMES).notes

    def test_an_old_name_that_does_not_occur_is_refused_with_those_that_do(self, tmp_path: Path) -> None:
        write(tmp_path / "d.csv")
        for attempt in (
            lambda: load_data(tmp_path / "d.csv", map={"Sadness": "joy"}),
            lambda: audited(tmp_path / "d.csv", map={"Sadness": "joy"}),
            lambda: load_split(tmp_path / "d.csv", labels=("joy", "anger"), map={"Sadness": "joy"}),
        ):
            with pytest.raises(
                DataError, match=r"no row has: 'Sadness'\. The labels are 'Joy', 'anger', 'joy', 'rage'"
            ):
                attempt()

    def test_an_old_name_may_be_in_one_split_only(self, tmp_path: Path) -> None:
        write(tmp_path / "train.csv", ("joy", "anger"))
        write(tmp_path / "test.csv", ("Joy", "anger"), 10)
        data = load_data(tmp_path, map={"Joy": "joy"})
        assert data.test.counts == {"anger": 5, "joy": 5}

    def test_class_names_keep_their_order(self, tmp_path: Path) -> None:
        import datasets

        features = datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["rage", "joy", "anger"])}
        )
        rows = [{"text": f"message {i} of it", "label": i % 3} for i in range(60)]
        found = load_data(datasets.Dataset.from_list(rows, features=features), map={"anger": "rage"})
        assert found.labels == ("rage", "joy")

    def test_numbers_are_named_as_they_are_read(self, tmp_path: Path) -> None:
        write(tmp_path / "d.csv", ("0.0", "1.0"))
        assert load_data(tmp_path / "d.csv", map={"0": "negative", "1": "positive"}).labels == ("negative", "positive")

    @pytest.mark.parametrize("wrong", [{"a": 1}, {1: "a"}, {"a": " "}, "a=b", ["a"]])
    def test_what_is_no_names_is_refused(self, wrong: Any, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="expected old and new names of labels"):
            load_data(write(tmp_path / "d.csv"), map=wrong)


class TestDropUnlabelled:
    EXTRA = "no label here,\nnor here,nan\n"

    def test_leaves_them_out_and_counts_them(self, tmp_path: Path) -> None:
        path = write(tmp_path / "d.csv", extra=self.EXTRA)
        with pytest.raises(DataError, match="the label is missing"):
            load_data(path)
        data = load_data(path, drop_unlabelled=True)
        note = "d.csv: 2 rows without a label left out (--drop-unlabelled)."
        assert note in data.notes
        assert sum(map(len, data.splits)) == 80
        found = audited(path, drop_unlabelled=True)
        assert note in found.notes
        assert found.unusable == {"train": ()}

    def test_withheld_labels_too(self) -> None:
        import datasets

        features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])})
        rows = [{"text": f"message {i} of it", "label": i % 3 - 1} for i in range(60)]
        data = load_data(datasets.Dataset.from_list(rows, features=features), drop_unlabelled=True)
        assert sum(map(len, data.splits)) == 40

    def test_other_faults_are_still_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path / "d.csv", extra=f"{self.EXTRA},joy\n")
        with pytest.raises(DataError, match="blank in 1 row"):
            load_data(path, drop_unlabelled=True)

    def test_all_of_them_are_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path / "d.csv", ("",))
        with pytest.raises(DataError, match="the label is missing"):
            load_data(path, drop_unlabelled=True)


class TestOnError:
    EXTRA = "one, two, three\n ,joy\nfour, five, six\n"

    def test_skip_leaves_them_out_and_counts_them_by_reason(self, tmp_path: Path) -> None:
        path = write(tmp_path / "d.csv", extra=self.EXTRA)
        data = load_data(path, on_error="skip")
        assert (
            "d.csv: 3 rows left out (--on-error skip): 3 fields, but the header has 2 (2); "
            "the text is empty or blank (1)." in data.notes
        )
        assert [row.place for row in data.left_out] == [f"{path}, line {line}" for line in (82, 83, 84)]
        assert sum(map(len, data.splits)) == 80

    def test_stop_is_what_happens_if_nothing_is_said(self, tmp_path: Path) -> None:
        path = write(tmp_path / "d.csv", extra=self.EXTRA)
        for how in (None, "stop"):
            with pytest.raises(DataError, match="line 82: 3 fields"):
                load_data(path, on_error=how)
        with pytest.raises(DataError, match="line 82: 3 fields"):
            audited(path, on_error="stop")
        assert len(audited(path).unusable["train"]) == 3

    def test_missing_labels_are_no_such_errors(self, tmp_path: Path) -> None:
        path = write(tmp_path / "d.csv", extra="no label,\n")
        with pytest.raises(DataError, match="the label is missing"):
            load_data(path, on_error="skip")
        assert len(load_data(path, on_error="skip", drop_unlabelled=True).train) > 0

    def test_all_rows_lost_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "d.csv"
        path.write_text("text,label\n" + ",joy\n" * 5, encoding="utf-8")
        with pytest.raises(DataError, match="blank in 5 rows"):
            load_data(path, on_error="skip")

    def test_another_word_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="on_error is 'ignore'; expected one of"):
            load_data(write(tmp_path / "d.csv"), on_error="ignore")  # type: ignore[arg-type]


def emotune(*words: object) -> Result:
    result = CliRunner().invoke(app, list(map(str, words)), env={"NO_COLOR": "1", "COLUMNS": "250"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


class TestCommand:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--map", "Joy"], "--map is 'Joy'; expected OLD=NEW"),
            (["--map", "a=b", "--map", "a=c"], "--map names 'a' twice"),
            (["--map", "Sadness=joy"], "labels that no row has: 'Sadness'"),
            (["--on-error", "ignore"], "expected"),
        ],
    )
    @pytest.mark.parametrize("command", ["run", "audit"])
    def test_refuses(self, command: str, options: list[str], said: str, tmp_path: Path) -> None:
        path = write(tmp_path / "d.csv")
        words = [command, "--data", path, "--output", tmp_path / "o"] if command == "run" else [command, path]
        result = emotune(*words, *options)
        assert result.exit_code == 2
        assert said in result.stderr
        assert not (tmp_path / "o").exists()

    def test_shows_what_is_saved(self, tmp_path: Path) -> None:
        (tmp_path / "c.toml").write_text('[data]\nmap = {Joy = "joy"}\non_error = "skip"\n', encoding="utf-8")
        shown = emotune("run", "--config", tmp_path / "c.toml", "--drop-unlabelled", "--show-config").stdout
        assert '[data.map]\nJoy = "joy"' in shown
        assert 'on_error = "skip"' in shown
        assert "drop_unlabelled = true" in shown
        (tmp_path / "again.toml").write_text(shown, encoding="utf-8")
        assert emotune("run", "--config", tmp_path / "again.toml", "--show-config").stdout == shown

    def test_audit_counts_under_new_names(self, tmp_path: Path) -> None:
        path = write(tmp_path / "d.csv", extra=TestOnError.EXTRA)
        result = emotune(
            "audit",
            path,
            "--map",
            "Joy=joy",
            "--map",
            "rage=anger",
            "--no-label-errors",
            "--json",
            "--on-error",
            "skip",
        )
        found = json.loads(result.stdout)
        assert found["rows"] == {"train": {"joy": 40, "anger": 40}}
        assert len(found["unusable"]["train"]) == 3


@pytest.mark.slow
def test_a_run_repeats_them(tmp_path: Path, tiny_bert: Path) -> None:
    """A run with all three, its list of skipped rows, its saved settings, reproduce, and a run from its folder."""
    extra = f"{TestOnError.EXTRA}{TestDropUnlabelled.EXTRA}"
    path = write(tmp_path / "d.csv", extra=extra)
    folder = tmp_path / "out"
    how = ["--map", "Joy=joy", "--map", "rage=anger", "--drop-unlabelled", "--on-error", "skip"]
    quick = ["--model", tiny_bert, "--method", "head", "--epochs", 1, "--max-length", 16]
    result = emotune("run", "--data", path, *quick, *how, "--output", folder)
    assert result.exit_code == 0, result.stderr
    with left_out_file(folder).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == [f"{path}, line {line}" for line in (82, 83, 84)]
    assert rows[1]["reason"] == "the text is empty or blank"
    saved = json.loads((folder / "emotune.json").read_text(encoding="utf-8"))
    stored = saved["configuration"]["data"]
    assert stored["map"] == NAMES
    assert (stored["drop_unlabelled"], stored["on_error"]) == (True, "skip")

    again = emotune("reproduce", folder, "--data", path, "--model", tiny_bert)
    assert again.exit_code == 0, again.stderr
    assert "bit for bit" in again.stdout

    new = emotune(
        "run",
        "--from-folder",
        folder,
        "--data",
        path,
        "--model",
        tiny_bert,
        "--output",
        tmp_path / "new",
        "--epochs",
        1,
    )
    assert new.exit_code == 0, new.stderr
    assert "Labels renamed: 'Joy' to 'joy'" in " ".join(new.output.split())

    (tmp_path / "third.skipped.csv").touch()
    blocked = emotune("run", "--data", path, *quick, *how, "--output", tmp_path / "third")
    assert blocked.exit_code == 2
    assert "third.skipped.csv exists" in blocked.stderr

    scored = emotune("evaluate", folder, "--data", path, "--base", tiny_bert, *how)
    assert scored.exit_code == 0, scored.stderr
    assert f"Skipped: {path}, line 82; {path}, line 83; {path}, line 84." in " ".join(scored.stderr.split())
    listed = emotune("evaluate", folder, "--data", path, "--base", tiny_bert, *how, "--output", tmp_path / "p.csv")
    assert listed.exit_code == 0, listed.stderr
    assert len((tmp_path / "p.csv.skipped.csv").read_text(encoding="utf-8").splitlines()) == 4
