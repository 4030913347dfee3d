"""`load_data`: formats, splits, label order, and what it refuses."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotune.data.load import load_data
from emotune.data.places import sources
from emotune.system.errors import ConfigError, DataError

from ..facts import states

EMOTIONS = ("sadness", "joy", "love", "anger", "fear", "surprise")
# Of fewer words than near repeats have, so that each stands for itself.
ROWS = [(f"i wrote message {i}; with, punctuation", "joy" if i % 2 else "anger") for i in range(20)]

Writer = Callable[[Path, Sequence[tuple[str, str]]], None]


def write_txt(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    path.write_text("".join(f"{text};{label}\n" for text, label in [("text", "label_name"), *rows]), encoding="utf-8")


def write_csv(path: Path, rows: Sequence[tuple[str, str]], delimiter: str = ",") -> None:
    lines = [f'"{text}"{delimiter}{label}\r\n' for text, label in rows]
    path.write_bytes(f"text{delimiter}label\r\n{''.join(lines)}".encode())


def write_semicolons(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    write_csv(path, rows, ";")


def write_tsv(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    path.write_text("".join(f"{text}\t{label}\n" for text, label in [("text", "label"), *rows]), encoding="utf-8")


def write_jsonl(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    lines = [json.dumps({"id": i, "text": text, "label": label}) for i, (text, label) in enumerate(rows)]
    path.write_text("\n".join(lines), encoding="utf-8")


def write_parquet(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"label": [label for _, label in rows], "text": [text for text, _ in rows]}), path)


def write_tabs(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    write_csv(path, rows, "\t")


WRITERS: dict[str, Writer] = {
    "data.txt": write_txt,
    "data.csv": write_csv,
    "semicolons.csv": write_semicolons,
    "tabs.csv": write_tabs,
    "data.tsv": write_tsv,
    "data.jsonl": write_jsonl,
    "data.json": write_jsonl,
    "data.parquet": write_parquet,
}


def write_labels(path: Path, labels: Sequence[object], copies: int = 20) -> Path:
    """A JSON Lines file with rows of the given labels."""
    rows = [{"text": f"text {i} of {label}", "label": label} for label in labels for i in range(copies)]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    written = {"train": ROWS, "validation": ROWS[:4], "test": ROWS[4:10]}
    for file, rows in written.items():
        WRITERS[name](tmp_path / f"{file}{Path(name).suffix}", rows)
    data = load_data(tmp_path)
    assert data.name == tmp_path.name
    assert data.labels == ("anger", "joy")
    assert [split.name for split in data.splits] == list(written)
    for split, rows in zip(data.splits, written.values(), strict=True):
        assert split.texts == tuple(text for text, _ in rows)
        assert [split.labels[i] for i in split.label_ids] == [label for _, label in rows]
        assert split.label_ids.dtype == np.int64
    assert [
        note for note in data.notes if "quotes are read as quoting" not in note and "tabs separate" not in note
    ] == []


def test_label_stands_after_the_last_semicolon(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_bytes(b"text;label_name\r\na; b; c; joy \r\n\r\nnext one ;anger\r\n")
    write_txt(tmp_path / "test.txt", ROWS[:2])
    write_txt(tmp_path / "dev.txt", ROWS[:2])
    data = load_data(tmp_path)
    assert data.train.texts == ("a; b; c", "next one ")  # the text stays as it is, the label is stripped
    assert data.train.counts == {"anger": 1, "joy": 1}


def test_quoted_fields_follow_rfc_4180(tmp_path: Path) -> None:
    others = "".join(f"x{i},joy\r\ny{i},anger\r\n" for i in range(8))
    rows = f'text,label\r\n"two\nlines, one ""field""",joy\r\nplain,anger\r\n\r\n{others}'
    (tmp_path / "d.csv").write_text(rows, encoding="utf-8", newline="")
    data = load_data(tmp_path / "d.csv")
    texts = [text for split in data.splits for text in split.texts]
    assert 'two\nlines, one "field"' in texts
    assert len(texts) == 18


@pytest.mark.parametrize("name", ["data.txt", "data.csv", "data.tsv", "data.jsonl"])
def test_byte_order_mark_is_no_part_of_the_data(tmp_path: Path, name: str) -> None:
    plain, marked = tmp_path / name, tmp_path / f"marked-{name}"
    WRITERS[name](plain, ROWS)
    marked.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes())
    assert load_data(marked).fingerprint == load_data(plain).fingerprint


def test_unusual_line_separators_stay_inside_texts(tmp_path: Path) -> None:
    rows = [("one\u2028two\x0bthree\x85four", "joy"), *ROWS]
    for name in ("data.txt", "data.jsonl", "data.csv"):
        WRITERS[name](tmp_path / name, rows)
        data = load_data(tmp_path / name)
        assert rows[0][0] in {text for split in data.splits for text in split.texts}, name


def test_columns_are_found_by_name_in_any_case(tmp_path: Path) -> None:
    rows = "".join(f"1,joy,good {i}\n2,anger,bad {i}\n" for i in range(8))
    (tmp_path / "d.csv").write_text(f"id,Emotion, Tweet\n{rows}", encoding="utf-8")
    assert {text.split()[0] for text in load_data(tmp_path / "d.csv").train.texts} == {"good", "bad"}


def test_columns_can_be_given(tmp_path: Path) -> None:
    rows = "".join(f"1,good {i},joy\n2,bad {i},anger\n" for i in range(8))
    (tmp_path / "d.csv").write_text(f"text,body,mood\n{rows}", encoding="utf-8")
    data = load_data(tmp_path / "d.csv", text_column="body", label_column="mood")
    assert {text.split()[0] for text in data.train.texts} == {"good", "bad"}
    assert data.labels == ("anger", "joy")


# --- splits -----------------------------------------------------------------------------------------------------------


def test_missing_splits_are_cut_stratified_and_said(tmp_path: Path) -> None:
    rows = [(f"joy {i}", "joy") for i in range(800)] + [(f"anger {i}", "anger") for i in range(200)]
    write_jsonl(tmp_path / "d.jsonl", rows)
    data = load_data(tmp_path / "d.jsonl", validation_size=0.1, seed=3)
    assert [split.counts for split in data.splits] == [
        {"anger": 150, "joy": 600},
        {"anger": 20, "joy": 80},
        {"anger": 30, "joy": 120},
    ]
    labels = dict(rows)
    for split in data.splits:
        assert [labels[text] for text in split.texts] == [split.labels[i] for i in split.label_ids]
        assert list(split.texts) == sorted(split.texts, key=list(labels).index)  # the order of the file
    assert Counter(text for split in data.splits for text in split.texts) == Counter(list(labels))
    test, validation = data.notes
    assert states(test, "No test split", "150 of the 1,000 training rows", "stratified, seed 3")
    assert states(validation, "No validation split", "100 of the 1,000 training rows", "stratified, seed 3")


def test_the_seed_alone_chooses_the_cut(tmp_path: Path) -> None:
    write_csv(tmp_path / "d.csv", ROWS * 5)
    same = [load_data(tmp_path / "d.csv", seed=1).fingerprint for _ in range(2)]
    assert same[0] == same[1]
    assert load_data(tmp_path / "d.csv", seed=2).fingerprint != same[0]


def test_only_what_is_missing_is_cut(tmp_path: Path) -> None:
    write_csv(tmp_path / "rows.csv", ROWS)
    write_txt(tmp_path / "unseen.txt", [(f"another {i}", label) for i, (_, label) in enumerate(ROWS[:3])])
    data = load_data(tmp_path / "rows.csv", test=tmp_path / "unseen.txt", validation_size=0.2)
    assert [len(split) for split in data.splits] == [16, 4, 3]
    assert data.name == "rows.csv"
    assert len(data.notes) == 1
    assert "validation" in data.notes[0]


def test_given_files_leave_training_whole(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_csv(tmp_path / f"{name}.csv", ROWS)
    data = load_data(tmp_path / "a.csv", validation=str(tmp_path / "b.csv"), test=tmp_path / "c.csv")
    assert [len(split) for split in data.splits] == [20, 20, 20]
    assert data.notes == ()


def test_folder_with_one_file_is_that_file(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    write_csv(folder / "reviews.csv", ROWS)
    (folder / "README.md").write_text("not data", encoding="utf-8")
    data = load_data(folder)
    assert data.name == "mine"
    assert sum(len(split) for split in data.splits) == 20


def test_files_of_a_folder_that_are_no_split_are_named(tmp_path: Path) -> None:
    for name in ("train", "valid", "test", "extra"):
        write_csv(tmp_path / f"{name}.csv", ROWS)
    assert load_data(tmp_path).notes == ("Not used, as no split has such a name: 'extra.csv'.",)


def test_the_bundled_sample_has_a_portable_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("train", "validation", "test"):
        write_csv(tmp_path / f"{name}.csv", ROWS)
    monkeypatch.setattr(sources, "SAMPLE_FOLDER", tmp_path)
    data = load_data("bundled:sample")
    assert data.name == "bundled:sample"
    assert len(data.train) == 20


def test_the_name_is_never_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    write_csv(folder / "train.csv", ROWS)
    monkeypatch.chdir(folder)
    assert load_data(".").name == "mine"
    assert load_data("./train.csv").name == "train.csv"


# --- label order ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (sorted(EMOTIONS), EMOTIONS),
        (["positive", "Negative", "mixed"], ("Negative", "mixed", "positive")),
        ([10, 9, 2, 1], ("1", "2", "9", "10")),
        (["10", "9", "-1", "0"], ("-1", "0", "9", "10")),
        ([1.0, 0.0, 2], ("0", "1", "2")),
        (["1.0", "0.0"], ("0", "1")),
        ([True, False], ("false", "true")),
        (["joy", "love"], ("joy", "love")),
    ],
)
def test_label_order(tmp_path: Path, labels: list[object], order: tuple[str, ...]) -> None:
    data = load_data(write_labels(tmp_path / "d.jsonl", labels))
    assert data.labels == order
    assert all(split.labels == order for split in data.splits)


def test_the_order_of_labels_can_be_given(tmp_path: Path) -> None:
    file = write_labels(tmp_path / "d.jsonl", ["low", "high", "medium"])
    assert load_data(file, labels=["low", "medium", "high"]).labels == ("low", "medium", "high")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["low", "high"], "the training rows also have 'medium'"),
        (["low", "high", "medium", "hihg"], "no training row has 'hihg'"),
    ],
)
def test_labels_given_must_be_those_of_the_data(tmp_path: Path, given: list[str], said: str) -> None:
    file = write_labels(tmp_path / "d.jsonl", ["low", "high", "medium"])
    with pytest.raises(DataError, match=said):
        load_data(file, labels=given)


def test_labels_given_are_all_different(tmp_path: Path) -> None:
    file = write_labels(tmp_path / "d.jsonl", ["low", "high", "medium"])
    with pytest.raises(ConfigError, match=r"labels is \['low', 'low'.*none of them twice"):
        load_data(file, labels=["low", "low", "high", "medium"])


def test_parquet_of_the_datasets_library_keeps_its_class_names(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["zero", "none here", "alpha"])})
    texts = [f"text {i}" for i in range(20)]
    rows = Dataset.from_dict({"text": texts, "label": [0, 2] * 10}, features=features)
    rows.to_parquet(tmp_path / "d.parquet")
    data = load_data(tmp_path / "d.parquet")
    assert data.labels == ("zero", "alpha")
    assert states(data.notes[0], "left out", "no training row", "'none here'")
    label_of = {text: ("zero", "alpha")[i % 2] for i, text in enumerate(texts)}
    for split in data.splits:
        assert [split.labels[i] for i in split.label_ids] == [label_of[text] for text in split.texts]


# --- what is refused --------------------------------------------------------------------------------------------------


def refusal(source: str | Path, **options: Any) -> str:
    """The message with which `load_data` refuses: at most three lines, printable."""
    with pytest.raises(DataError) as caught:
        load_data(source, **options)
    message = str(caught.value)
    assert message.count("\n") <= 2
    assert message.replace("\n", "").isprintable()
    return message


@pytest.mark.parametrize(
    "source", ["reviews.csv", "./reviews", "/no/such/folder", "~/no-such-folder-here", "a/b/c", "a\\b", "", "a b"]
)
def test_missing_file(source: str) -> None:
    assert f"No such file or folder: '{source}'" in refusal(source).replace("\\\\", "\\")


def test_paths_that_no_system_takes(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / ("x" * 5000 + ".csv"))
    assert "cannot be read" in refusal("~no-such-user-here/d.csv")


def test_missing_extra_file(tmp_path: Path) -> None:
    write_csv(tmp_path / "d.csv", ROWS)
    assert "No such file" in refusal(tmp_path / "d.csv", test="dev")
    assert "is a folder" in refusal(tmp_path / "d.csv", test=tmp_path)


def test_unknown_bundle() -> None:
    assert "'bundled:sample'" in refusal("bundled:nothing")


def test_hub_settings_do_not_fit_local_files(tmp_path: Path) -> None:
    write_csv(tmp_path / "d.csv", ROWS)
    assert "no config ('split' was given)" in refusal(tmp_path / "d.csv", config="split")
    assert "no revision" in refusal(tmp_path / "d.csv", revision="main")


def test_folder_without_data(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("hello", encoding="utf-8")
    assert "holds no data files" in refusal(tmp_path)


def test_folder_with_files_of_no_split(tmp_path: Path) -> None:
    write_csv(tmp_path / "one.csv", ROWS)
    write_csv(tmp_path / "two.csv", ROWS)
    message = refusal(tmp_path)
    assert "'one.csv', 'two.csv'" in message


def test_two_files_for_one_split(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", ROWS)
    write_csv(tmp_path / "val.csv", ROWS)
    write_txt(tmp_path / "dev.txt", ROWS)
    message = refusal(tmp_path)
    assert "'dev.txt'" in message
    assert "'val.csv'" in message


def test_a_split_given_twice(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", ROWS)
    write_csv(tmp_path / "test.csv", ROWS)
    assert "has a test split of its own" in refusal(tmp_path, test=tmp_path / "test.csv")


def test_folder_without_training_rows(tmp_path: Path) -> None:
    write_csv(tmp_path / "test.csv", ROWS)
    assert "no train split" in refusal(tmp_path)


def test_one_row(tmp_path: Path) -> None:
    write_csv(tmp_path / "d.csv", ROWS[:1])
    assert "has 1 row;" in refusal(tmp_path / "d.csv")


def test_one_class(tmp_path: Path) -> None:
    write_csv(tmp_path / "d.csv", ROWS[::2])
    assert "all 10 rows have the label 'anger'" in refusal(tmp_path / "d.csv")


@pytest.mark.parametrize("split", ["validation", "test"])
def test_class_that_training_lacks(tmp_path: Path, split: str) -> None:
    write_csv(tmp_path / "train.csv", ROWS)
    write_csv(tmp_path / f"{split}.csv", [*ROWS, ("text", "joyy"), ("more", "joyy")])
    message = refusal(tmp_path)
    assert f"{split}.csv has labels that the training rows lack: 'joyy' (2 rows)" in message


def test_rare_class(tmp_path: Path) -> None:
    rows = [*ROWS, ("text", "fear"), ("another", "fear")]
    write_csv(tmp_path / "d.csv", rows)
    write_csv(tmp_path / "test.csv", ROWS)
    message = refusal(tmp_path / "d.csv")
    assert "'fear' has 2 rows; cutting test and validation" in message
    assert "at least 3" in message
    # Two rows are enough where one split is cut.
    assert load_data(tmp_path / "d.csv", test=tmp_path / "test.csv").train.counts["fear"] >= 1


def test_too_few_rows_for_a_cut(tmp_path: Path) -> None:
    file = write_labels(tmp_path / "d.jsonl", EMOTIONS, copies=3)
    message = refusal(file)
    assert "18 rows of 6 classes are too few to cut a test split of 3 rows" in message


@pytest.mark.parametrize("size", [0.1, 0.8])
def test_no_cut_empties_a_class(tmp_path: Path, size: float) -> None:
    rows = [*ROWS, ("text", "fear"), ("more", "fear")]
    write_csv(tmp_path / "d.csv", rows)
    write_csv(tmp_path / "test.csv", ROWS)
    if size == 0.1:
        assert "too few to cut a validation split of 2 rows" in refusal(
            tmp_path / "d.csv", test=tmp_path / "test.csv", validation_size=size
        )
        return
    data = load_data(tmp_path / "d.csv", test=tmp_path / "test.csv", validation_size=size)
    assert data.train.counts["fear"] == data.validation.counts["fear"] == 1


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range(tmp_path: Path, seed: int) -> None:
    write_csv(tmp_path / "d.csv", ROWS)
    with pytest.raises(ConfigError, match="seed"):
        load_data(tmp_path / "d.csv", seed=seed)


@pytest.mark.parametrize("sizes", [(0.0, 0.1), (0.5, 0.5), (-0.1, 0.2), (float("nan"), 0.1), (0.1, 1.0)])
def test_sizes_out_of_range(tmp_path: Path, sizes: tuple[float, float]) -> None:
    write_csv(tmp_path / "d.csv", ROWS)
    with pytest.raises(ConfigError, match=r"test_size|validation_size"):
        load_data(tmp_path / "d.csv", test_size=sizes[0], validation_size=sizes[1])


def test_blank_texts_are_counted_and_placed(tmp_path: Path) -> None:
    rows = list(ROWS)
    for i in (0, 5, 9):
        rows[i] = (" \u2003" if i else "", "joy")
    write_csv(tmp_path / "d.csv", rows)
    assert "blank in 3 rows: lines 2, 7, 11." in refusal(tmp_path / "d.csv")
    write_parquet(tmp_path / "d.parquet", rows)
    assert "blank in 3 rows: rows 1, 6, 10." in refusal(tmp_path / "d.parquet")


@pytest.mark.parametrize("text", ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u200b \u200d"])
def test_a_text_of_characters_without_width_is_blank(tmp_path: Path, text: str) -> None:
    (tmp_path / "d.csv").write_text(f"text,label\nfine,joy\n{text},joy\nbad,fear\n", encoding="utf-8")
    assert "the text is empty or blank in 1 row: line 3." in refusal(tmp_path / "d.csv")


def test_many_blank_texts_make_a_short_message(tmp_path: Path) -> None:
    write_csv(tmp_path / "d.csv", [("", "joy")] * 5000)
    assert "blank in 5,000 rows: lines 2, 3, 4, 5, 6, 7, 8, 9 and 4,992 more" in refusal(tmp_path / "d.csv")


@pytest.mark.parametrize("missing", [None, "", "  ", "nan", "NaN", float("nan")])
def test_missing_label(tmp_path: Path, missing: object) -> None:
    file = write_labels(tmp_path / "d.jsonl", ["joy", missing, "anger"], copies=2)
    assert "label is missing (empty, null or NaN) in 2 rows: lines 3, 4." in refusal(file)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (1.5, "'1.5', a number that is not whole"),
        ("2.25", "'2.25', a number that is not whole"),
        (float("inf"), "'inf', a number that is not whole"),
        ({"a": 0.5}, "the label 'a' has the score '0.5'"),
        ("jo\ud83d", "half a character"),
    ],
)
def test_labels_that_are_no_classes(tmp_path: Path, label: object, said: str) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text("\n".join(json.dumps({"text": "x", "label": value}) for value in ("joy", label)), encoding="utf-8")
    message = refusal(file)
    assert "line 2: the label" in message
    assert said in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (5, "the text is of type int"),
        (["a"], "of type list"),
        (True, "of type bool"),
        ("cut \ud83d", "half a character"),
        ("a\0b", "NUL character"),
    ],
)
def test_texts_that_are_no_text(tmp_path: Path, text: object, said: str) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text(
        "\n".join(json.dumps({"text": value, "label": "joy"}) for value in ("x", text, "y")), encoding="utf-8"
    )
    message = refusal(file)
    assert "line 2:" in message
    assert said in message


def test_numbers_are_no_texts_in_parquet_either(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": [1, 2], "label": ["a", "b"]}), tmp_path / "d.parquet")
    assert "row 1: the text is of type int" in refusal(tmp_path / "d.parquet")


@pytest.mark.parametrize("name", WRITERS)
def test_text_that_is_too_long(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, [*ROWS[:1], ("x" * 100_000, "joy"), *ROWS])
    message = refusal(tmp_path / name)
    assert ("line 3" if name.endswith(("txt", "csv", "tsv")) else "2: a text") in message
    assert "100,000 characters; at most 20,000" in message
    assert "--max-characters" in message
    assert len(message) < 400 + len(str(tmp_path))
    data = load_data(tmp_path / name, max_characters=100_000)
    assert sum(len(split) for split in data.splits) == 22


def test_longest_text_must_be_a_length(tmp_path: Path) -> None:
    write_csv(tmp_path / "d.csv", ROWS)
    with pytest.raises(ConfigError, match="max_characters"):
        load_data(tmp_path / "d.csv", max_characters=0)


def test_values_from_files_are_escaped_in_messages(tmp_path: Path) -> None:
    write_csv(tmp_path / "d.csv", [("a", "\x1b[31mred"), ("b", "\x1b[31mred")])
    message = refusal(tmp_path / "d.csv")
    assert r"\x1b[31mred" in message
    assert "\x1b" not in message


@pytest.mark.real
def test_the_real_data_has_its_published_shape(real_data: str) -> None:
    data = load_data(real_data)
    assert data.labels == EMOTIONS
    assert [len(split) for split in data.splits] == [16_000, 2_000, 2_000]
    assert data.test.counts == dict(zip(EMOTIONS, (581, 695, 159, 275, 224, 66), strict=True))
