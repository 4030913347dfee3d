"""Files that cannot be read as data, and the place and the remedy that the message must name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emotune.data.auditing.audit import audit_source
from emotune.data.formats.delimited import LONGEST_FIELD
from emotune.data.load import load_data
from emotune.system.errors import DataError
from tests.data.reading import load_texts

from ..facts import facts, states

GOOD = "".join(f"text {i},{'joy' if i % 2 else 'anger'}\n" for i in range(12))


def refusal(path: Path, content: bytes | str | None = None, **options: Any) -> str:
    """Write the content, and give the message with which it is refused."""
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        load_data(path, **options)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.count("\n") <= 2
    return message.removeprefix(str(path))


SUFFIXES = [".txt", ".csv", ".tsv", ".jsonl", ".json", ".parquet"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_file(tmp_path: Path, suffix: str) -> None:
    assert refusal(tmp_path / f"d{suffix}", b"") == " is empty (0 bytes)."


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv", ".jsonl"])
@pytest.mark.parametrize("content", [b"\n\n\r\n", b"\xef\xbb\xbf"])
def test_nothing_but_blank_lines(tmp_path: Path, suffix: str, content: bytes) -> None:
    assert "nothing but blank lines" in refusal(tmp_path / f"d{suffix}", content)


@pytest.mark.parametrize(
    ("suffix", "header"), [(".txt", "text;label"), (".csv", "text,label"), (".tsv", "text\tlabel")]
)
def test_header_only(tmp_path: Path, suffix: str, header: str) -> None:
    assert refusal(tmp_path / f"d{suffix}", header) == " has a header and no rows."


def test_parquet_without_rows(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())}), tmp_path / "d.parquet"
    )
    assert refusal(tmp_path / "d.parquet") == " has no rows."


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".jsonl", ".png"])
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG picture"),
        (b"PK\x03\x04 and so on", "an Excel workbook"),
        (b"SQLite format 3\0", "name it .db"),
        (b"ARROW1\0\0", "name it .arrow"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "Save it as .xlsx"),
        (b"text,label\na\0b,joy\n", "a binary file (a NUL byte at offset 12)"),
        (b"PAR1....PAR1", "name it .parquet"),
    ],
)
def test_binary_file(tmp_path: Path, suffix: str, content: bytes, kind: str) -> None:
    assert kind in refusal(tmp_path / f"d{suffix}", content)


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv", ".jsonl"])
def test_wrong_encoding(tmp_path: Path, suffix: str) -> None:
    start = b"text;label\n" + b"good;joy\n" * 5000
    message = refusal(
        tmp_path / f"d{suffix}", (b'{"text": "x"}\n' if "json" in suffix else b"") + start + b"caf\xe9;joy\n"
    )
    if suffix in (".txt", ".csv"):  # the others meet another mistake first
        assert states(message, ", line 5002: ", "0xe9", "45,014", "not UTF-8", "--encoding windows-1252")


def test_unknown_suffix(tmp_path: Path) -> None:
    message = refusal(tmp_path / "d.xml", "<a/>")
    assert "'.xml'" in message
    assert all(suffix in message for suffix in SUFFIXES)


def test_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "d.csv").write_text("text,label\n", encoding="utf-8")
    monkeypatch.setattr(Path, "open", refuse)  # the mode of a file does not stop the superuser
    assert refusal(tmp_path / "d.csv") == " cannot be read: Permission denied."


# --- CSV --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "fields"),
    [("so good, so nice,joy", "3 fields"), ("so good, yes, nice,joy", "4 fields"), (",,,x", "4 fields")],
)
def test_ragged_row(tmp_path: Path, row: str, fields: str) -> None:
    message = refusal(tmp_path / "d.csv", f"text,label\n{GOOD}\n{row}\n{GOOD}")
    assert states(message, ", line 15: ", fields, "header has 2", "comma", "in double quotes")


def test_unclosed_quote_to_the_end(tmp_path: Path) -> None:
    message = refusal(tmp_path / "d.csv", f'text,label\n{GOOD}"never, closed,joy\n{GOOD}')
    assert states(message, ", line 14: ", "quote", "never closed", "to line 26")


def test_unclosed_quote_to_the_next_quote(tmp_path: Path) -> None:
    message = refusal(tmp_path / "d.csv", f'text,label\n"never closed,joy\n{GOOD}"a proper one",joy\n')
    assert states(message, ", line 2: ", "misplaced quote", "line 15")


def test_unclosed_quote_before_very_much_text(tmp_path: Path) -> None:
    repeated = GOOD * (LONGEST_FIELD // len(GOOD) + 1)
    message = refusal(tmp_path / "d.csv", f'text,label\n{GOOD}"never, closed,joy\n{repeated}')
    assert states(message, ", line 14: ", f"more than {LONGEST_FIELD:,} characters")


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_field_longer_than_the_csv_module_takes_by_itself(tmp_path: Path, suffix: str) -> None:
    delimiter = {".csv": ",", ".tsv": "\t"}[suffix]
    good = GOOD.replace(",", delimiter)
    message = refusal(tmp_path / f"d{suffix}", f"text{delimiter}label\n{good}{'x' * 150_000}{delimiter}joy\n")
    assert states(message, ", line 14: ", "150,000 characters", "at most 20,000", "--max-characters")


def test_a_long_field_of_a_column_that_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("text,page,label\n" + GOOD.replace(",", f",{'x' * 150_000},"), encoding="utf-8")
    assert max(map(len, load_data(tmp_path / "d.csv").train.texts)) < 10


def test_unclosed_quote_in_the_header(tmp_path: Path) -> None:
    assert ", line 1: a quote is opened" in refusal(tmp_path / "d.csv", '"text,label\na,joy\nb,anger\n')


def test_delimiter_comes_from_the_header_alone(tmp_path: Path) -> None:
    texts = [f"a, b, c, d, {i};joy\nf, g, {i};anger\n" for i in range(8)]
    (tmp_path / "d.csv").write_text("text;label\n" + "".join(texts), encoding="utf-8")
    data = load_data(tmp_path / "d.csv")
    assert {"a, b, c, d, 0", "f, g, 0"} <= {text for split in data.splits for text in split.texts}


# --- text;label -------------------------------------------------------------------------------------------------------


def test_line_without_semicolon(tmp_path: Path) -> None:
    message = refusal(tmp_path / "d.txt", "text;label\n\na;joy\nno label here\n")
    assert message.startswith(", line 4: no semicolon in 'no label here'")


# --- JSON Lines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "a", "label"', "not a JSON object (Expecting ':' delimiter)"),
        ('["a", "joy"]', "not a JSON object (it is not an object)"),
        ("5", "it is not an object"),
        ("[" * 100_000, "not a JSON object"),
        ('{"text": 1' + "0" * 5000 + "}", "not a JSON object"),
        ('{"text": "a", "emotion": "joy"}', "no key 'label' in this object"),
        ('{"text": "a", "text": "b", "label": "joy"}', "the key 'text' occurs twice"),
    ],
)
def test_bad_line(tmp_path: Path, line: str, said: str) -> None:
    message = refusal(tmp_path / "d.jsonl", f'{{"text": "a", "label": "joy"}}\n\n{line}\n')
    assert message.startswith(", line 3: ")
    assert said in message
    assert len(message) < 300


# --- Parquet ----------------------------------------------------------------------------------------------------------


def test_no_parquet_file(tmp_path: Path) -> None:
    assert "is not a Parquet file" in refusal(tmp_path / "d.parquet", "text,label\na,joy\n")


def test_damaged_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["a"], "label": ["b"]}), tmp_path / "d.parquet")
    assert "is damaged" in refusal(tmp_path / "d.parquet", (tmp_path / "d.parquet").read_bytes()[:-20])


def test_the_reason_of_a_damaged_parquet_is_given_whole_and_on_one_line(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "d.parquet"
    pq.write_table(pa.table({"text": ["a"], "label": ["b"]}), path)
    content = path.read_bytes()[:-20]
    path.write_bytes(content)
    with pytest.raises(pa.ArrowInvalid) as seen:
        pq.read_table(path)
    expected = str(seen.value).partition("': ")[2].rstrip(".")
    assert len(expected) > 60
    message = refusal(path, content)
    assert expected in message
    assert "\n" not in message


# --- columns ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "semicolon"), [(".txt", ";"), (".csv", ","), (".tsv", "\t")])
def test_no_header(tmp_path: Path, suffix: str, semicolon: str) -> None:
    content = f"i feel fine{semicolon}joy\ni do not{semicolon}anger\n"
    message = refusal(tmp_path / f"d{suffix}", content)
    assert message.startswith(": its first line, 'i feel fine")
    assert "has no column name that emotune knows" in message
    assert "--text-column NAME and --label-column NAME" in message
    assert message.endswith("name all columns in their order: --columns text,label")


def test_no_header_and_no_semicolon(tmp_path: Path) -> None:
    assert ": its first line, 'just text', has no column name that emotune knows" in refusal(
        tmp_path / "d.txt", "just text\nmore text\n"
    )


def test_unknown_column(tmp_path: Path) -> None:
    message = refusal(tmp_path / "d.csv", f"text,label\n{GOOD}", text_column="body")
    assert states(message, "no column 'body'", "'text', 'label'")


def test_one_column_for_both(tmp_path: Path) -> None:
    assert "cannot hold both" in refusal(tmp_path / "d.csv", f"text,label\n{GOOD}", text_column="label")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("text,mood", "no column is named like one of labels (label, "),
        ("prose,label", "no column is named like one of texts (text, "),
        (
            "text,emotion,label",
            "several columns could hold the labels: 'emotion', 'label'. Choose one with --label-column",
        ),
        ("Text,text,label", "several columns could hold the texts: 'Text', 'text'"),
        ("text,label,text", "the column 'text' occurs more than once"),
        ("text,label,x,x", "the column 'x' occurs more than once"),
    ],
)
def test_columns_that_cannot_be_chosen(tmp_path: Path, header: str, said: str) -> None:
    assert said in refusal(tmp_path / "d.csv", f"{header}\n{','.join('abcd'[: header.count(',') + 1])}\n")


def test_column_names_are_shortened_and_escaped(tmp_path: Path) -> None:
    names = ["\x1b[2J" + "n" * 500, *(f"c{i}" for i in range(40)), "text"]
    message = refusal(tmp_path / "d.csv", ",".join(names) + "\n")
    assert "\x1b" not in message
    assert r"\x1b[2J" in message
    assert "and 34 more" in message


# --- texts alone ------------------------------------------------------------------------------------------------------


def test_texts_of_a_plain_file(tmp_path: Path) -> None:
    (tmp_path / "d.txt").write_text("first; with a semicolon\r\n\r\nsecond\n\n", encoding="utf-8-sig", newline="")
    assert list(load_texts(tmp_path / "d.txt")) == ["first; with a semicolon", "second"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.txt", "text;label\na; b;joy\nc;anger\n"),
        ("d.csv", 'id,text\n1,a; b\n2,"c"\n'),
        ("d.csv", "text\na; b\nc\n"),
        ("d.tsv", "label\tsentence\nx\ta; b\n\tc\n"),
        ("d.jsonl", '{"text": "a; b"}\n{"text": "c", "label": null}\n'),
    ],
)
def test_texts_of_tables_need_no_label(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert list(load_texts(str(tmp_path / name))) == ["a; b", "c"]


def test_texts_of_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"body": ["a", "b"], "n": [1, 2]}), tmp_path / "d.parquet")
    assert list(load_texts(tmp_path / "d.parquet", text_column="body")) == ["a", "b"]


def test_texts_are_read_as_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("unlabelled", "places.texts"):
        monkeypatch.setattr(f"emotune.data.{module}.CHUNK", 64)
    (tmp_path / "d.csv").write_text(f'text,label\nfirst,joy\n{GOOD * 1000}"never closed', encoding="utf-8")
    texts = load_texts(tmp_path / "d.csv")
    assert next(texts) == "first"
    with pytest.raises(DataError, match="never closed"):
        list(texts)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("d.csv", 'text\na\n" "\n', "blank in 1 row: line 3"),
        ("d.csv", "text\n", "a header and no rows"),
        ("d.csv", "i feel fine\nso do i\n", "has no column name that emotune knows"),
        ("d.txt", "a\n" + "x" * 50, "line 2: a text of 50 characters; at most 40"),
        ("d.txt", "", "is empty"),
        ("d.txt", "\n\n", "nothing but blank lines"),
    ],
)
def test_texts_that_are_refused(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        list(load_texts(tmp_path / name, max_characters=40))
    assert said in str(caught.value)


def test_texts_of_a_missing_file_are_refused_at_once() -> None:
    with pytest.raises(DataError, match="No such file"):
        load_texts("no-such-file")


def test_texts_of_a_file_with_blank_ones_are_refused_with_all_their_rows(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("text,label\na,x\n ,x\nb,x\n,x\n", encoding="utf-8")
    texts = load_texts(tmp_path / "d.csv")
    assert [next(texts), next(texts)] == ["a", "b"]
    with pytest.raises(DataError, match=facts("blank", "2 rows", "lines 3, 5")):
        next(texts)


class TestTheFirstLine:
    @pytest.mark.parametrize("blank", ["   \n", "\n  \n\n", "\t \n"])
    def test_of_a_csv_file_is_the_first_that_is_not_blank(self, tmp_path: Path, blank: str) -> None:
        (tmp_path / "d.csv").write_text(f"{blank}text,label\n{GOOD}", encoding="utf-8")
        (tmp_path / "plain.csv").write_text(f"text,label\n{GOOD}", encoding="utf-8")
        assert load_data(tmp_path / "d.csv").fingerprint == load_data(tmp_path / "plain.csv").fingerprint

    @pytest.mark.parametrize("name", ["d.txt", "d.jsonl", "d.json"])
    def test_with_carriage_returns_alone_is_not_quoted_whole(self, tmp_path: Path, name: str) -> None:
        message = refusal(tmp_path / name, "text;label\r" + GOOD.replace(",", ";").replace("\n", "\r"))
        assert "carriage returns only" in message
        assert "tr '\\r' '\\n' < " in message
        assert "text 3" not in message

    def test_with_one_carriage_return_at_its_end_is_a_line(self, tmp_path: Path) -> None:
        (tmp_path / "d.txt").write_bytes(b"just one\r")
        assert list(load_texts(tmp_path / "d.txt")) == ["just one"]


class TestKeysOfJsonLines:
    def test_are_those_of_all_objects(self, tmp_path: Path) -> None:
        rows = [{"text": "a", "id": 1}, {"text": "b", "label": "joy"}, {"text": "c", "label": "fear"}, {"id": 2}]
        path = tmp_path / "d.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        found = audit_source(path, label_errors=False)
        assert [row.text for row in found.rows] == ["b", "c"]
        assert [row.number for row in found.unusable["train"]] == [1, 4]

    def test_of_two_spellings_the_commoner_is_the_column(self, tmp_path: Path) -> None:
        message = refusal(
            tmp_path / "d.jsonl", '{"text": "a", "emotion": "joy"}\n' + '{"text": "a", "label": "joy"}\n' * 2
        )
        assert message.startswith(", line 1: no key 'label'")

    def test_that_stand_side_by_side_are_to_be_chosen_from(self, tmp_path: Path) -> None:
        message = refusal(
            tmp_path / "d.jsonl", '{"text": "a", "label": "joy"}\n{"text": "a", "label": "x", "emotion": "joy"}\n'
        )
        assert "several columns could hold the labels" in message


class TestAFieldTooFew:
    @pytest.mark.parametrize("name", ["d.csv", "d.tsv"])
    def test_is_a_label_or_a_separator_that_is_missing_or_a_cut_row(self, tmp_path: Path, name: str) -> None:
        separator, word = (",", "comma") if name == "d.csv" else ("\t", "tab")
        message = refusal(tmp_path / name, f"text,label\n{GOOD}no label\n".replace(",", separator))
        assert f"The label, or the {word} before it, is missing; or a line break" in message
        assert "must be in double quotes" not in message


class TestATextThatIsTooLong:
    def test_may_come_of_a_quote_only_where_quotes_are_quoting(self, tmp_path: Path) -> None:
        for name, separator, quoting in (("d.csv", ",", True), ("d.txt", ";", False), ("d.tsv", "\t", False)):
            content = f"text,label\n{GOOD}{'x' * 99},joy\n".replace(",", separator)
            message = refusal(tmp_path / name, content, max_characters=40)
            assert ("quote was opened" in message) == quoting
            assert "--max-characters (max_characters in Python)" in message

    def test_is_said_in_words_of_python_of_rows_in_memory(self) -> None:
        with pytest.raises(DataError, match="raise max_characters") as caught:
            load_data([("x" * 99, "joy"), ("y", "fear")], max_characters=40)
        assert "--" not in str(caught.value)
        assert "quote" not in str(caught.value)
