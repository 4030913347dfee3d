"""`emotune audit`: findings as tables and as JSON, a cleaned copy, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from emotune.data.auditing.audit import audit_source
from emotune.data.load import load_data
from emotune.models.classifier import Classifier
from emotune.system.errors import DataError

from .conftest import Invoke

ROWS = """text,label
i could not believe how kind the nurse was,joy
I could not believe how KIND the nurse was!,joy
they charged me twice and then hung up,anger
they charged me twice and then hung up,sadness
,joy
nobody came to the party in the end,sadness
what a day for a swim in the lake,joy
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "messages.csv"
    path.write_text(ROWS, encoding="utf-8")
    return path


def test_shows_what_was_found(invoke: Invoke, data: Path) -> None:
    result = invoke("audit", data, "--no-label-errors")
    assert result.exit_code == 0, result.output
    for words in (
        "Rows of messages.csv",
        "train 6",
        "the text is empty or blank",
        "Training texts under different labels",
        "anger, sadness",
        "train 3",
        "trivial",
    ):
        assert words in result.stdout, words


def test_json_holds_every_finding(invoke: Invoke, data: Path) -> None:
    found = json.loads(invoke("audit", data, "--no-label-errors", "--json").stdout)
    assert found["rows"] == {"train": {"joy": 3, "anger": 1, "sadness": 2}}
    assert [(r["row"]["place"]["number"], r["first"]["place"]["number"], r["kind"]) for r in found["repeats"]] == [
        (3, 2, "trivial"),
        (5, 4, "exact"),
    ]
    assert found["unusable"]["train"] == [{"number": 6, "reason": "the text is empty or blank"}]
    assert found["label_errors"] is None


def test_no_examples_are_no_tables_of_examples(invoke: Invoke, data: Path) -> None:
    shown = invoke("audit", data, "--no-label-errors", "--examples", "0").stdout
    assert "Findings" in shown
    assert "the first" not in shown
    assert "Repeats, leaks" not in shown


def test_label_errors_need_enough_rows_and_it_says_so(invoke: Invoke, data: Path) -> None:
    shown = invoke("audit", data).stdout
    assert "training has only one row of 'anger'" in shown
    data.write_text("text,label\na fine day,joy\na dark night,fear\n", encoding="utf-8")
    assert "Likely label errors were not looked for" in invoke("audit", data).stdout


def test_clean_copy(invoke: Invoke, data: Path, tmp_path: Path) -> None:
    result = invoke("audit", data, "--no-label-errors", "--write-clean", tmp_path / "clean")
    assert result.exit_code == 0, result.output
    assert "4 rows left out" in result.stderr
    kept = (tmp_path / "clean" / "train.csv").read_text(encoding="utf-8").splitlines()
    assert kept == [
        "text,label",
        "i could not believe how kind the nurse was,joy",
        "nobody came to the party in the end,sadness",
        "what a day for a swim in the lake,joy",
    ]
    assert data.read_text(encoding="utf-8") == ROWS


def test_a_folder_that_is_not_empty_is_refused_before_anything_is_read(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").touch()
    result = invoke("audit", "no-such-file.csv", "--write-clean", tmp_path / "full")
    assert result.exit_code == 2
    assert "not empty. Name an empty or a new one with --write-clean." in result.stderr


def spoil(place: Path, how: str) -> Path:
    """A folder that cannot be written, or the path of one."""
    if how == "a file":
        (place / "clean").touch()
    elif how == "not empty":
        (place / "clean").mkdir()
        (place / "clean" / "emotune.json").touch()
    elif how == "too long":
        return place / ("x" * 300)
    elif how == "works here":
        return place
    elif how == "below a file":
        (place / "clean").touch()
        return place / "clean" / "deeper"
    return place / "clean"


@pytest.mark.parametrize("how", ["a file", "not empty", "too long", "works here", "below a file", "full disk"])
def test_messages_about_the_cleaned_copy_name_options_that_there_are(
    invoke: Invoke, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if how == "full disk":
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=9))
    folder = spoil(tmp_path, how)
    before = sorted(tmp_path.rglob("*"))
    result = invoke("audit", data, "--no-label-errors", "--write-clean", folder)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--write-clean" in result.stderr
    assert not re.search(r"--output|--overwrite|\brun\b", result.stderr)
    assert result.stderr.count("\n") <= 3
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("characters", [20_001, 150_000])
def test_a_text_that_is_too_long_is_a_row_that_cannot_be_used(invoke: Invoke, data: Path, characters: int) -> None:
    data.write_text(f"{ROWS}{'x' * characters},joy\nlast of all,joy\n", encoding="utf-8")
    found = json.loads(invoke("audit", data, "--no-label-errors", "--json").stdout)
    assert found["unusable"]["train"][-1]["number"] == 9
    reason = found["unusable"]["train"][-1]["reason"]
    assert reason.startswith(f"a text of {characters:,} characters; at most 20,000 are allowed")
    assert sum(found["rows"]["train"].values()) == 7


GOOD = "a fine day,joy\na fine day,joy\na dark night,fear\n"


def folder_of(place: Path, **splits: str) -> Path:
    """A folder with the given splits, as rows below a header."""
    folder = place / "splits"
    folder.mkdir()
    for name, rows in splits.items():
        (folder / f"{name}.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (',joy\n" ",fear\nfine,\n', "3 rows were seen: the text is empty or blank (2), the label is missing (1)."),
        (f"{'x' * 30_000},joy\n", "1 row was seen: a text of 30,000 characters; at most 20,000 are allowed"),
        ("", "has a header and no rows"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_data_without_a_usable_row_is_refused(
    invoke: Invoke, tmp_path: Path, rows: str, said: str, options: tuple[str, ...]
) -> None:
    path = tmp_path / "d.csv"
    path.write_text(f"text,label\n{rows}", encoding="utf-8")
    result = invoke("audit", path, "--write-clean", tmp_path / "clean", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert str(path) in result.stderr
    assert said in result.stderr
    assert result.stderr.count("\n") <= 3
    assert not (tmp_path / "clean").exists()


@pytest.mark.parametrize("rows", [",joy\n", ""])
def test_a_split_without_a_usable_row_is_named(invoke: Invoke, tmp_path: Path, rows: str) -> None:
    result = invoke("audit", folder_of(tmp_path, train=GOOD, validation=rows, test=GOOD))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "validation.csv" in result.stderr
    assert "of the validation split" in result.stderr


def test_a_folder_without_training_rows_is_audited_as_far_as_that_goes(invoke: Invoke, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, test=GOOD)
    found = json.loads(invoke("audit", folder, "--json").stdout)
    assert found["rows"] == {"test": {"joy": 2, "fear": 1}}
    assert [(r["row"]["place"]["number"], r["kind"]) for r in found["repeats"]] == [(3, "exact")]
    assert found["label_errors"] is None
    assert found["words"]["test"]["most"] == 3
    (note,) = found["notes"]
    for words in ("no train split", "leaks", "different labels", "probably wrong", "give a class away"):
        assert words in note
    shown = invoke("audit", folder)
    assert shown.exit_code == 0, shown.output
    assert note in " ".join(shown.stdout.split())
    for words in ("in training", "under different labels  ", "give a class away  "):
        assert words not in shown.stdout.replace(note, ""), words


def test_a_cleaned_copy_needs_no_training_rows(invoke: Invoke, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, test=GOOD)
    assert invoke("audit", folder, "--write-clean", tmp_path / "clean").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "clean").iterdir()) == ["dropped.csv", "test.csv"]
    assert (tmp_path / "clean" / "test.csv").read_text().splitlines()[1:] == ["a fine day,joy", "a dark night,fear"]


def test_test_rows_that_stand_in_validation_are_listed(invoke: Invoke, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, train="one thing,joy\n", validation="a fine day,joy\n", test="a fine day,fear\n")
    (leak,) = json.loads(invoke("audit", folder, "--json").stdout)["validation_leaks"]
    assert (leak["row"]["place"], leak["first"]["place"]["split"], leak["kind"]) == (
        {"split": "test", "number": 2},
        "validation",
        "exact",
    )
    shown = invoke("audit", folder).stdout
    assert "is also in validation: identical" in shown
    assert "validation 2" in shown


def test_with_a_model_it_says_what_would_be_cut(invoke: Invoke, tiny_files: Path, tiny_bert: Path) -> None:
    """Each made-up word is a token, and every text has six of them, between two special tokens."""
    counted = json.loads(invoke("audit", tiny_files, "--model", tiny_bert, "--max-length", "7", "--json").stdout)[
        "tokens"
    ]
    same = {"least": 8, "median": 8.0, "ninety_ninth": 8.0, "most": 8}
    assert counted == {
        "model": "tiny-bert",
        "max_length": 7,
        "texts": 192,
        "mean": 8.0,
        "lengths": {"train": same, "validation": same, "test": same},
        "cut": {"train": 120, "validation": 36, "test": 36},
        "rows": {"train": 120, "validation": 36, "test": 36},
        "unknown": {"train": 0.0, "validation": 0.0, "test": 0.0},
        "unread": {"train": 0, "validation": 0, "test": 0},
        "with_unknown": {"train": 0, "validation": 0, "test": 0},
        "windows": False,
    }
    shown = invoke("audit", tiny_files, "--model", tiny_bert, "--max-length", "8", "--no-label-errors")
    assert shown.exit_code == 0, shown.output
    assert shown.stderr == ""
    assert "With tiny-bert: 8.0 tokens per text; 0 of 192 texts are longer than 8 and are cut." in shown.stdout
    assert re.search(r"longer than 8 tokens +0 +0 +0", shown.stdout)


def test_with_a_model_labels_are_judged_by_it_too(invoke: Invoke, tiny_files: Path, tiny_bert: Path) -> None:
    """The made-up words tell the labels, so words alone judge well; with features the note names one or the other."""
    shown = " ".join(invoke("audit", tiny_files, "--model", tiny_bert, "--max-length", "8").stdout.split())
    assert " of each class right on average where it has not seen the text" in shown
    assert "With --model MODEL" not in shown


def test_weights_are_not_read_where_labels_are_not_judged(
    invoke: Invoke, data: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bert, tmp_path / "bare")
    (tmp_path / "bare" / "model.safetensors").unlink()
    options = ("--model", tmp_path / "bare", "--max-length", "8")
    assert invoke("audit", data, *options, "--no-label-errors").exit_code == 0


def test_texts_that_the_tokenizer_cannot_read_are_said(invoke: Invoke, tmp_path: Path, tiny_bert: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,label\n😭,sad\n😀,joy\nbadi 😀,joy\n", encoding="utf-8")
    options = ("--model", tiny_bert, "--max-length", "8", "--no-label-errors")
    shown = " ".join(invoke("audit", path, *options).stdout.split())
    assert (
        "tiny-bert cannot read these texts: 75.00 % of the tokens of train are unknown to it, and 2 of 3 texts have no"
        in shown
    )
    assert "unknown tokens 75.00 %" in shown
    assert "without a known token 2" in shown


def test_without_a_model_it_counts_words_alone(invoke: Invoke, data: Path) -> None:
    assert "token" not in invoke("audit", data, "--no-label-errors").stdout
    assert json.loads(invoke("audit", data, "--no-label-errors", "--json").stdout)["tokens"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "bundled:other"], "The bundled model is bundled:minilm"),
        (["--model", "./missing"], "There is no folder './missing'"),
        (["--model", "MODEL", "--max-length", "65"], "65 tokens does not fit"),
        (["--model", "MODEL", "--max-length", "2"], "which takes from 3 to 64"),
        (["--max-length", "64"], "--max-length was given without --model"),
    ],
)
def test_a_model_or_length_that_cannot_be_is_refused_before_the_data_is_read(
    invoke: Invoke, tiny_bert: Path, options: list[str], said: str
) -> None:
    given = [str(tiny_bert) if option == "MODEL" else option for option in options]
    result = invoke("audit", "no-such-file.csv", *given)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") <= 3


def test_many_reasons_are_cut_short(invoke: Invoke, tmp_path: Path) -> None:
    rows = "".join(json.dumps({"text": "a", "label": number + 0.5}) + "\n" for number in range(50))
    path = tmp_path / "d.jsonl"
    path.write_text(rows, encoding="utf-8")
    result = invoke("audit", path)
    assert result.exit_code == 2
    assert "50 rows were seen" in result.stderr
    assert "other reasons (47)" in result.stderr
    assert len(result.stderr) < 1000


def test_hostile_texts_are_shown_and_not_obeyed(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,label\n\x1b[2J[red]x,a\n\x1b[2J[red]x,b\x1b[31m\nfine,a\n", encoding="utf-8")
    result = invoke("audit", path, "--no-label-errors")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    assert "[red]x" in result.stdout


def test_missing_file(invoke: Invoke) -> None:
    result = invoke("audit", "no-such-file.csv")
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize(
    ("option", "value", "least"),
    [
        ("--examples", "-1", 0),
        ("--examples", "many", 0),
        ("--examples", "1.5", 0),
        ("--max-length", "0", 1),
        ("--max-length", "x", 1),
        ("--max-characters", "0", 1),
    ],
)
def test_a_number_that_is_none_is_refused_in_one_line(
    invoke: Invoke, data: Path, option: str, value: str, least: int
) -> None:
    result = invoke("audit", data, option, value)
    assert result.exit_code == 2
    assert result.stderr == f"{option} is '{value}'; expected a whole number of at least {least}.\n"


def test_no_examples_may_be_asked_for(invoke: Invoke, data: Path) -> None:
    assert invoke("audit", data, "--no-label-errors", "--examples", "0").exit_code == 0


def test_a_cleaned_copy_reads_back_as_it_was(invoke: Invoke, tmp_path: Path) -> None:
    texts = [
        "one\rtwo",
        "one\r",
        "\rone more",
        "a\r\nb",
        'say "it"',
        "comma, here",
        "line\nend",
        " spaces ",
        "tab\there",
    ]
    data = tmp_path / "d.jsonl"
    rows = [{"text": f"{text} {i}", "label": "ab"[i % 2]} for i, text in enumerate(texts)]
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert invoke("audit", data, "--no-label-errors", "--write-clean", tmp_path / "clean").exit_code == 0
    found = audit_source(tmp_path / "clean" / "train.csv", label_errors=False)
    assert [(row.text, row.label) for row in found.rows] == [(row["text"], row["label"]) for row in rows]


def test_examples_are_not_for_json(invoke: Invoke, data: Path) -> None:
    result = invoke("audit", data, "--no-label-errors", "--json", "--examples", "9")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--examples was given with --json" in result.stderr


def test_all_rows_that_cannot_be_used_are_listed_as_the_advice_says(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,label\na,joy\n" + "b, c,joy\n" * 12 + "d,fear\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        load_data(path)
    advice = re.search(r"emotune audit DATA (--examples \d+)", str(caught.value))
    assert advice is not None
    shown = invoke("audit", path, "--no-label-errors", *advice[1].split()).stdout
    assert len(re.findall(r"^ *train \d+", shown, re.MULTILINE)) == 12


@pytest.mark.parametrize("command", [("audit", "owner/name"), ("evaluate", "tuned", "--data", "owner/name")])
def test_a_configuration_of_the_hub_is_chosen_as_the_message_says(
    invoke: Invoke, saved: Classifier, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    import datasets

    asked: list[object] = []

    def load_dataset(name: str, config: str | None, *, revision: str | None) -> object:
        asked.append((name, config, revision))
        if config is None:
            raise ValueError("Config name is missing")
        rows = [{"text": f"text {i}", "label": ("sadness", "joy")[i % 2]} for i in range(9)]
        return datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda *_, **__: ["en", "de"])
    monkeypatch.setattr("emotune.data.places.hub_dataset.translate_hub_errors", lambda *_: nullcontext())
    refused = invoke(*command)
    assert refused.exit_code == 2
    option = re.search(r"--data-[a-z]+", refused.stderr)
    assert option is not None
    invoke(*command, option[0], "en", "--data-revision", "v1")
    assert asked[-1] == ("owner/name", "en", "v1")
