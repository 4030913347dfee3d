"""What real users had, command by command: every case is read rightly, or refused with the one right thing to do.

The essential inputs are rebuilt here, small. Where EMOTUNE_CASES names a folder with a subfolder for each case, the same commands
run on the inputs there, and every subfolder must be in the table. With EMOTUNE_REQUIRE_CASES a missing folder is a failure.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import pickle
import re
import shlex
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from emotune.cli import app
from emotune.data.dataset import Split
from emotune.data.load import load_data
from emotune.evaluation.compare import compare
from emotune.evaluation.scores import Evaluation, score
from emotune.evaluation.words.verdict import verdict
from emotune.system.errors import EmotuneError

Files = Callable[[Path], None]
Run = Callable[["Case", int | None], None]

_FOLDER = os.environ.get("EMOTUNE_CASES")
FOLDER = Path(_FOLDER).resolve() if _FOLDER else None

LABELS = ("joy", "sadness", "anger", "fear", "love", "surprise")
STARTS = (
    "the train was late",
    "my sister called",
    "rain all day",
    "we lost the match",
    "a letter came",
    "nobody answered",
)
ENDS = ("and i smiled", "so i went home", "which nobody expected", "and that was that", "for the third time")
ROWS = [(f"{STARTS[i % 6]} {ENDS[i % 5]} on day {i}", LABELS[(7 * i) % 6]) for i in range(30)]
BINARY = [(text, str(i % 2)) for i, (text, _) in enumerate(ROWS)]
REACHED = "the data was taken"
EITHER = -1


# --- how the small inputs are written ---------------------------------------------------------------------------------


def delimited(
    rows: Sequence[Sequence[Any]], header: str = "text,label", sep: str = ",", end: str = "\n", after: str = ""
) -> bytes:
    """Lines of fields, quoted where the separator asks for it."""
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=sep, lineterminator=end).writerows(rows)
    return (header.replace(",", sep) + end + file.getvalue().replace(end, after + end)).encode()


def plain(rows: Sequence[Sequence[Any]], sep: str, header: str = "text,label") -> bytes:
    """Lines of fields as they are, nothing quoted."""
    return "".join(sep.join(map(str, row)) + "\n" for row in [header.split(","), *rows]).encode()


def lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def records(rows: Sequence[tuple[str, Any]] = ROWS) -> list[dict[str, Any]]:
    return [{"text": text, "label": label} for text, label in rows]


def parquet(columns: Mapping[str, Any]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), sink)
    return sink.getvalue()


def files(**contents: bytes | str) -> Files:
    """Write files; "__" in a name stands for "." and "___" for "/"."""

    def write(folder: Path) -> None:
        for name, content in contents.items():
            path = folder / name.replace("___", "/").replace("__", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def labelled(label: Callable[[int, str], Any]) -> list[tuple[str, Any]]:
    return [(text, label(i, name)) for i, (text, name) in enumerate(ROWS)]


def zipped(folder: Path) -> None:
    with zipfile.ZipFile(folder / "d.zip", "w") as archive:
        archive.writestr("t.csv", delimited(ROWS))


def database(folder: Path) -> None:
    connection = sqlite3.connect(folder / "d.db")
    connection.execute("CREATE TABLE t (text, label)")
    connection.executemany("INSERT INTO t VALUES (?, ?)", ROWS)
    connection.commit()
    connection.close()


def saved_to_disk(folder: Path) -> None:
    import datasets

    one = datasets.Dataset.from_list(records())
    datasets.DatasetDict({"train": one, "validation": one, "test": one}).save_to_disk(folder / "ds")


def one_saved_to_disk(folder: Path) -> None:
    import datasets

    datasets.Dataset.from_list(records()).save_to_disk(folder / "ds")


def two_predictions(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "predictions.parquet").write_bytes(
            parquet({"text": ["x"], "label": ["joy"], "prediction": ["joy"]})
        )


def long_text(folder: Path) -> None:
    (folder / "d.csv").write_bytes(delimited([*ROWS, ("much " * 6500, "joy")]))


def categories(folder: Path) -> None:
    import pyarrow as pa

    (folder / "d.parquet").write_bytes(
        parquet({"text": [t for t, _ in ROWS], "label": pa.array([k for _, k in ROWS]).dictionary_encode()})
    )


# --- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A command, and what must come of it.

    Attributes:
        name: The case's folder.
        command: The words after "emotune"; TUNED is the folder of a tuned model.
        files: Writes the small input; None where the input cannot be rebuilt small, or needs none.
        rows: How many rows of train an audit reads from the case's folder; None where it refuses.
        small: How many it reads of the small input.
        said: What must stand in the output: regular expressions.
        unsaid: What must not.
        code: The exit code; 0 where rows are read, 2 else, unless given. With EITHER both will do: a warning, or a refusal.
        stdin: Standard input.
        labels: All labels that an audit must find, sorted; not looked at where there are none.
        own: Writes inputs that the case's folder lacks.
    """

    name: str
    command: str
    files: Files | None = None
    rows: int | None = None
    small: int | None = None
    said: Sequence[str] = ()
    unsaid: Sequence[str] = ()
    code: int | None = None
    stdin: bytes | None = None
    labels: Sequence[str] = ()
    own: Files | None = None

    @property
    def expected_code(self) -> int:
        return self.code if self.code is not None else 0 if self.rows is not None else 2


def reads(name: str, command: str, written: Files | None, rows: int = 200, small: int = 30, **more: Any) -> Case:
    return Case(name, command, written, rows, small, **more)


def columns(text: str, label: str, unused: str) -> list[str]:
    return [f"exts from column '{text}', labels from column '{label}'; not used: {unused}\\."]


SWALLOWED = [*BINARY[:8], ('"i was glad', "0"), *BINARY[8:18], ('and she left"', "1"), *BINARY[18:28]]
TINY = [
    ('"I was glad', "joy"),
    ("so sad", "sadness"),
    ("so low", "sadness"),
    ('and she left"', "anger"),
    ("fine day", "joy"),
]
NO_NAME = "has no column name that emotune knows.*If that line is the header, say which column is which with --text-column NAME"
MULTI = "multi-label data: "
SPLITS = {"train": ROWS, "test": ROWS[:6]}
UNUSABLE = "no row of the train split can be used"

CASES = [
    reads(
        "a01_semicolon_newlines",
        "audit d.csv",
        files(d__csv=delimited([(f"{t}\nand on", k) for t, k in ROWS], sep=";")),
    ),
    reads(
        "a02_excel_sep_line",
        "audit d.csv",
        files(d__csv=b"sep=;\n" + delimited(ROWS, sep=";")),
        said=["d.csv: its first line names the separator for Excel, and is not read"],
    ),
    reads("a03_bom_semicolon", "audit d.csv", files(d__csv=b"\xef\xbb\xbf" + delimited(ROWS, sep=";"))),
    reads("a04b_remedy", "audit d-utf8.csv", files(**{"d-utf8__csv": delimited([("café", "joy"), *ROWS[1:]])})),
    reads(
        "a05_utf16_tsv",
        "audit d.tsv",
        files(d__tsv=plain(ROWS, "\t").decode().encode("utf-16")),
        said=["d.tsv: read as UTF-16"],
    ),
    reads(
        "a06_unnamed0",
        "audit d.csv",
        files(d__csv=delimited([(i, *row) for i, row in enumerate(ROWS)], ",text,label")),
        unsaid=["not used"],
    ),
    reads(
        "a06b_unnamed_lit",
        "audit d.csv",
        files(d__csv=delimited([(i, i, *row) for i, row in enumerate(ROWS)], "Unnamed: 0.1,Unnamed: 0,text,label")),
        unsaid=["not used"],
    ),
    reads(
        "a08_onehot",
        "audit d.csv",
        files(
            d__csv=delimited(
                [(t, *(int(k == name) for name in sorted(LABELS))) for t, k in ROWS],
                "text,anger,fear,joy,love,sadness,surprise",
            )
        ),
        said=[
            "labels from columns 'anger', 'fear', 'joy', 'love', 'sadness', 'surprise', one for each label",
            "Every row has exactly one label, so this is single-label data",
        ],
    ),
    reads(
        "a09_float_labels",
        "audit d.csv",
        files(d__csv=delimited(labelled(lambda i, _: float(i % 2)))),
        labels=["0", "1"],
    ),
    Case(
        "a09b_float_some_nan",
        "run --data d.csv",
        files(d__csv=delimited(labelled(lambda i, _: "" if i == 9 else float(i % 2)))),
        said=["the label is missing", "--drop-unlabelled", "audit DATA --write-clean DIR"],
    ),
    reads(
        "a10_bool_autotrain93",
        "audit d.csv --text-column col_two --label-column col_one",
        files(
            d__csv=delimited([("TRUE" if i % 2 else "FALSE", t) for i, (t, _) in enumerate(ROWS)], "col_one,col_two")
        ),
        labels=["FALSE", "TRUE"],
    ),
    reads(
        "a12_names",
        "audit d.csv",
        files(
            d__csv=delimited(
                labelled(lambda i, _: ("very happy 😀", "sad: deep", "anger/rage", "愛", "İş", "страх")[i % 6])
            )
        ),
    ),
    Case(
        "a12b_case_dups",
        "run --data d.csv",
        files(d__csv=delimited(labelled(lambda i, _: ("joy", "Joy", "anger")[i % 3]))),
        code=2,
        said=[REACHED, "differ only in case", "--map Joy=joy"],
    ),
    Case(
        "a12c_nfc_nfd_labels",
        "run --data d.csv",
        files(d__csv=delimited(labelled(lambda i, _: ("col\u00e8re", "cole\u0300re", "joie")[i % 3]))),
        code=2,
        said=[REACHED, "(?i)unicode|accent|compos|alike|look the same|one class"],
    ),
    Case(
        "a12d_nbsp_zwsp_labels",
        "audit d.csv",
        files(d__csv=delimited(labelled(lambda i, _: ("joy", "joy\u200b", "anger")[i % 3]))),
        code=0,
        said=['(?i)invisible|width|alike|look the same|"joy": (20|100)'],
    ),
    Case(
        "a13b_nan_literal",
        "audit d.csv",
        files(d__csv=delimited([("nan", "joy"), ("None", "anger"), ("NULL", "joy"), ("#N/A", "fear"), *ROWS[4:]])),
        code=0,
        said=["(?i)stand for (a )?missing|missing value|placeholder"],
    ),
    reads(
        "a13c_label_none_na",
        "audit d.csv",
        files(d__csv=delimited(labelled(lambda i, _: ("None", "NA", "n/a", "null")[i % 4]))),
        said=[r'"NA": ', r'"None": ', r'"n/a": ', r'"null": '],
    ),
    reads(
        "a13d_nan_label_class",
        "audit d.csv",
        files(d__csv=delimited(labelled(lambda i, k: "nan" if i < 3 else k))),
        180,
        27,
    ),
    Case("a15_long_rows", "run --data d.csv", long_text, said=["at most 20,000", "--max-characters"]),
    Case(
        "a16b_minus1_run", "run --data d.csv", files(d__csv=delimited(labelled(lambda i, _: i % 3 - 1))), said=[REACHED]
    ),
    reads(
        "a17_half_stars",
        "audit d.csv",
        files(d__csv=delimited(labelled(lambda i, _: 1.5 if i < 4 else 1 + i % 5))),
        111,
        26,
        said=["a number that is not whole", r"\(regression\) is not supported"],
    ),
    reads(
        "a18_024", "audit d.csv", files(d__csv=delimited(labelled(lambda i, _: 2 * (i % 3)))), labels=["0", "2", "4"]
    ),
    reads(
        "a22_setfit_label_text",
        "audit d.csv",
        files(d__csv=delimited([(t, LABELS.index(k), k) for t, k in ROWS], "text,label,label_text")),
        said=columns("text", "label", "'label_text'"),
    ),
    reads(
        "a24_comment_text",
        "audit d.csv",
        files(d__csv=delimited(ROWS, "comment_text,toxic")),
        said=["Texts from column 'comment_text', labels from column 'toxic'"],
    ),
    reads(
        "a24_comment_text",
        "audit d.csv --text-column comment_text --label-column toxic",
        files(d__csv=delimited(ROWS, "comment_text,toxic")),
    ),
    reads("a26_tsv_quotes", "audit d.tsv", files(d__tsv=plain(SWALLOWED, "\t"))),
    Case(
        "a26_tsv_quotes_run",
        "run --data d.tsv",
        files(d__tsv=plain(SWALLOWED, "\t")),
        said=[REACHED],
        unsaid=["quotes are read as quoting"],
    ),
    reads(
        "a26b_csv_stray_quote",
        "audit d.csv",
        files(d__csv=plain([*ROWS, ('"great" she said', "joy")], ",")),
        200,
        31,
        said=["d.csv: quotes are read as text, since only so every row is whole"],
    ),
    reads(
        "a26d_single_quotes",
        "audit d.csv",
        files(d__csv=plain([(f"'{t}, then'", k) for t, k in ROWS], ",")),
        said=["d.csv: single quotes are read as quoting"],
    ),
    reads("a26e_tiny", "audit d.tsv", files(d__tsv=plain(TINY, "\t")), 5, 5),
    Case(
        "a28_list_string_labels",
        "audit d.csv",
        files(d__csv=delimited(labelled(lambda i, k: str([k, "neutral"] if i % 5 == 0 else [k])))),
        code=0,
        said=[MULTI],
    ),
    Case(
        "a28_list_string_labels_run",
        "run --data d.csv",
        files(d__csv=delimited(labelled(lambda i, k: str([k, "neutral"] if i % 5 == 0 else [k])))),
        code=2,
        said=[REACHED, MULTI],
    ),
    Case(
        "a28c_comma_ids",
        "audit d.tsv",
        files(d__tsv=plain(labelled(lambda i, _: "2,3" if i % 5 == 0 else i % 5), "\t")),
        code=EITHER,
        said=["(?i)several labels|more than one label|multi-label|look like lists"],
    ),
    reads(
        "a29_pair",
        "audit d.csv",
        files(d__csv=delimited([(t, "she is", k) for t, k in ROWS], "premise,hypothesis,label")),
        said=["Pairs of texts from columns 'premise' and 'hypothesis', labels from column 'label'\\."],
    ),
    Case(
        "a29b_qnli",
        "run --data d.csv",
        files(d__csv=delimited([("why?", t, k) for t, k in BINARY], "question,sentence,label")),
        said=[
            REACHED,
            *columns("sentence", "label", "'question'"),
            "--text-column question --text-pair-column sentence",
        ],
    ),
    reads(
        "a29c_text_pair",
        "audit d.csv",
        files(d__csv=delimited([(t, "x", k) for t, k in ROWS], "text,text_pair,label")),
        said=columns("text", "label", "'text_pair'"),
    ),
    reads("a31_tab_in_csv", "audit d.csv", files(d__csv=plain(ROWS, "\t"))),
    reads(
        "a32_comma_in_tsv", "audit d.tsv", files(d__tsv=delimited(ROWS)), said=["d.tsv: commas separate its columns"]
    ),
    reads(
        "a33_tab_txt_header", "audit d.txt", files(d__txt=plain(ROWS, "\t")), said=["d.txt: tabs separate its columns"]
    ),
    reads(
        "a33b_tab_txt_wrong_header",
        "audit d.txt",
        files(d__txt=plain(ROWS, "\t").replace(b"text\tlabel", b"text;label")),
        said=["d.txt: tabs separate its columns, though its first line has a semicolon"],
    ),
    Case(
        "a35_label_first_no_header_tsv",
        "audit d.tsv",
        files(d__tsv=plain([(k, t) for t, k in ROWS[1:]], "\t", "joy," + ROWS[0][0])),
        said=[NO_NAME, "--columns text,label"],
    ),
    reads(
        "a35_label_first_no_header_tsv",
        "audit d.tsv --columns label,text",
        files(d__tsv=plain([(k, t) for t, k in ROWS[1:]], "\t", "joy," + ROWS[0][0])),
    ),
    Case("a36_header_only", "audit d.csv", files(d__csv="text,label\n"), said=["a header and no rows"]),
    reads(
        "a37_trailing_delims",
        "audit d.csv",
        files(d__csv=delimited(ROWS, after=",,")),
        said=["d.csv: every row ends with 2 commas after the last column, which are not read"],
    ),
    reads(
        "a38_trailing_semicolon",
        "audit d.txt",
        files(d__txt="text;label\n" + "".join(f"{t};{k};\n" for t, k in ROWS)),
        said=["d.txt: every line ends with a semicolon, which is not read"],
    ),
    reads("a40_upper_ext", "audit D.CSV", files(D__CSV=delimited(ROWS))),
    reads("a41_cr_only", "audit d.csv", files(d__csv=delimited(ROWS, end="\r"))),
    Case(
        "a42_dup_header",
        "audit d.csv",
        files(d__csv=delimited([(t, k, k) for t, k in ROWS], "text,label,label")),
        said=["'label' occurs more than once"],
    ),
    reads(
        "a43_id_first_col_text_numbers",
        "audit d.csv",
        files(d__csv=delimited([(i, k) for i, (_, k) in enumerate(ROWS)])),
    ),
    Case(
        "a44b_concatenated_headers_run",
        "run --data d.csv",
        files(d__csv=delimited([*ROWS, ("text", "label"), *ROWS])),
        said=["class 'label' has 1 row"],
    ),
    reads(
        "a45_autotrain121",
        "audit d.csv --text-column a --label-column b",
        files(d__csv=delimited([(i, *row) for i, row in enumerate(ROWS)], ",a,b")),
        60,
    ),
    Case(
        "a46_many_errors",
        "audit d.csv",
        files(d__csv=delimited(ROWS) + b"a, b,joy\n" * 6),
        None,
        code=0,
        said=[r'"unusable": \{\n *"train": \[(?:[^\]]*"number"){6}[^\]]*\]'],
    ),
    reads(
        "a50_evil_names",
        "audit d.jsonl",
        files(
            d__jsonl=lines(
                records(labelled(lambda i, _: ("[bold]", "[/b]", "<script>alert(1)</script>", 'a|b: "x"\n# y')[i % 4]))
            )
        ),
        201,
    ),
    Case(
        "a52_text_col_is_title_body",
        "audit d.csv",
        files(d__csv=delimited([(1, t, k) for t, k in ROWS], "Class Index,Title,Description")),
        said=[NO_NAME],
    ),
    reads(
        "a53_title_text",
        "audit d.csv",
        files(d__csv=delimited([(i, t, "body", i % 2) for i, (t, _) in enumerate(ROWS)], "id,title,text,label")),
        said=columns("text", "label", "'id', 'title'"),
    ),
    Case(
        "a53_title_text_run",
        "run --data d.csv",
        files(d__csv=delimited([(i, t, f"body {i}", i % 2) for i, (t, _) in enumerate(ROWS)], "id,title,text,label")),
        said=[REACHED, *columns("text", "label", "'id', 'title'")],
    ),
    reads(
        "a54_predictions_file_as_data",
        "audit d.csv",
        files(d__csv=delimited([(t, k, "joy") for t, k in ROWS], "text,label,prediction")),
    ),
    reads(
        "a55_annotator_disagreement",
        "audit d.csv",
        files(d__csv=delimited([(t, k, "a0") for t, k in ROWS], "text,label,annotator")),
        180,
    ),
    reads("b01_gz", "audit d.csv.gz", files(d__csv__gz=gzip.compress(delimited(ROWS)))),
    reads("b01b_gz_jsonl", "audit d.jsonl.gz", files(d__jsonl__gz=gzip.compress(lines(records())))),
    reads("b02_zip", "audit d.zip", zipped, said=["d.zip: read from t.csv in it"]),
    reads("b03_xz", "audit d.csv.xz", files(d__csv__xz=lzma.compress(delimited(ROWS)))),
    reads("b04_bz2_named_csv", "audit d.csv", files(d__csv=bz2.compress(delimited(ROWS)))),
    reads("b04b_xz_named_csv", "audit d.csv", files(d__csv=lzma.compress(delimited(ROWS)))),
    reads("b06_sqlite", "audit d.db", database),
    reads("b06_sqlite", "audit d.db --query 'SELECT text, label FROM t'", database),
    # What is read from URLs stands in tests/data/test_places.py, with a server; here nothing can be reached.
    Case(
        "b07_url",
        "run --data https://raw.githubusercontent.invalid/someone/repo/main/train.csv",
        said=[
            "'https://raw.githubusercontent.invalid/someone/repo/main/train.csv' could not be reached",
            "give its path",
        ],
    ),
    Case(
        "b07b_hf_url", "run --data hf://datasets/owner/name/train.csv", said=["dataset 'owner/name'", "HF_HUB_OFFLINE"]
    ),
    Case(
        "b07c_https_hf",
        "audit https://huggingface.co/datasets/owner/name",
        said=["dataset 'owner/name'", "HF_HUB_OFFLINE"],
    ),
    *(
        reads(
            "b08_stdin",
            f"audit {name}",
            None,
            30,
            stdin=delimited(ROWS),
            said=["Standard input is read as CSV, going by its content; --input-format names another"],
        )
        for name in ("-", "/dev/stdin")
    ),
    reads(
        "b09b_classdirs_top",
        "audit aclImdb",
        files(
            **{
                f"aclImdb___{split}___{label}___{i}_7__txt": f"{ROWS[i][0]} in {split}"
                for split in ("train", "test")
                for label in ("pos", "neg")
                for i in range(15)
            }
        ),
        said=["One text per file; labels by the names of folders: 'neg', 'pos'"],
        labels=["neg", "pos"],
    ),
    Case(
        "b09b_classdirs_top",
        "audit aclImdb/train/pos",
        files(**{f"aclImdb___train___pos___{i}_7__txt": "a" for i in range(12)}),
        said=[
            "One file per text is read where there is a folder for each class; give the folder that holds these folders"
        ],
    ),
    reads("b10_save_to_disk_dict", "audit ds", saved_to_disk),
    reads("b10b_save_to_disk_single", "audit ds", one_saved_to_disk),
    *(
        reads(
            "b11_hub_layout",
            f"audit {folder}",
            files(
                ds___README__md="# A data set",
                **{
                    f"ds___data___{s}-00000-of-00001__parquet": parquet(
                        {"text": [t for t, _ in ROWS], "label": [k for _, k in ROWS]}
                    )
                    for s in ("train", "test", "validation")
                },
            ),
            said=said,
        )
        for folder, said in (("ds", ["Read from the folder 'data' in 'ds'"]), ("ds/data", []))
    ),
    reads("b13_parquet_categorical", "audit d.parquet", categories),
    reads(
        "b13b_parquet_bool",
        "audit d.parquet",
        files(d__parquet=parquet({"text": [t for t, _ in ROWS], "label": [i % 2 == 0 for i in range(30)]})),
        labels=["false", "true"],
    ),
    reads(
        "b13c_parquet_float_nan",
        "audit d.parquet",
        files(
            d__parquet=parquet(
                {"text": [t for t, _ in ROWS], "label": [float("nan"), *(float(i % 3) for i in range(29))]}
            )
        ),
        196,
        29,
    ),
    reads(
        "b13d_parquet_cat_text_null",
        "audit d.parquet",
        files(d__parquet=parquet({"text": [None, *(t for t, _ in ROWS[1:])], "label": [k for _, k in ROWS]})),
        198,
        29,
    ),
    reads(
        "b13f_parquet_decimal",
        "audit d.parquet",
        files(d__parquet=parquet({"text": [t for t, _ in ROWS], "label": [Decimal(i % 6) for i in range(30)]})),
        labels=["0", "1", "2", "3", "4", "5"],
    ),
    Case(
        "b14_split_eval",
        "run --data ds",
        files(**{f"ds___{s}__csv": delimited(ROWS[:12]) for s in ("train", "eval", "test")}),
        said=[REACHED, "Taken as the validation split: 'eval.csv'"],
        unsaid=["set aside"],
    ),
    reads(
        "b14b_split_valid_dev",
        "audit ds",
        files(**{f"ds___{s}__csv": delimited(ROWS) for s in ("Train", "VALID", "Test")}),
    ),
    reads(
        "b14c_prefix_names",
        "audit ds",
        files(**{f"ds___emotion_{s}__csv": delimited(ROWS) for s in ("train", "val", "test")}),
        said=["train from 'emotion_train.csv'; validation from 'emotion_val.csv'; test from 'emotion_test.csv'"],
    ),
    Case(
        "b14e_train_only_plus_unlabelled_test",
        "run --data ds",
        files(
            ds___train__csv=delimited(ROWS * 4),
            ds___test__csv="text\na\nb\n",
            ds___sample_submission__csv="id,label\n0,joy\n",
        ),
        said=[
            REACHED,
            "The test split has no labels and is left out \\(ds/test.csv",
            "No test split was given.*were set aside",
            "'sample_submission.csv'",
        ],
    ),
    Case(
        "b14e_train_only_plus_unlabelled_test",
        "run --data ds/train.csv",
        files(ds___train__csv=delimited(ROWS * 4)),
        said=[REACHED],
    ),
    reads("b15_json_array", "audit d.json", files(d__json=json.dumps(records()))),
    reads("b15b_json_pretty", "audit d.json", files(d__json=json.dumps(records(), indent=1))),
    reads(
        "b15c_json_columns",
        "audit d.json",
        files(d__json=json.dumps({c: {str(i): row[c] for i, row in enumerate(records())} for c in ("text", "label")})),
        said=["d.json: it holds its rows column by column"],
    ),
    reads(
        "b15e_json_data_key_pretty",
        "audit d.json",
        files(d__json=json.dumps({"version": "1", "data": records()}, indent=1)),
        said=["d.json: its rows are under 'data'"],
    ),
    reads(
        "b15e_json_data_key_pretty",
        "audit small.json",
        files(small__json=json.dumps({"version": "1", "data": records()})),
        30,
        said=["its rows are under 'data'"],
        own=files(small__json=json.dumps({"version": "1", "data": records()})),
    ),
    reads(
        "b15f_jsonl_nested",
        "audit d.jsonl --text-column review.text",
        files(d__jsonl=lines([{"review": {"text": t}, "label": k} for t, k in ROWS])),
    ),
    Case(
        "b15g_jsonl_first_lacks",
        "audit d.jsonl",
        files(d__jsonl=lines([{"text": "a"}, *records()])),
        None,
        code=0,
        said=["no key 'label' in this object", '"number": 1\\b'],
    ),
    Case(
        "b15h_jsonl_mid_lacks",
        "audit d.jsonl",
        files(d__jsonl=lines([*records(), {"text": "a"}])),
        None,
        code=0,
        said=["no key 'label' in this object", '"number": (31|78)\\b'],
    ),
    reads(
        "b15j_jsonl_bool",
        "audit d.jsonl",
        files(d__jsonl=lines(records(labelled(lambda i, _: i % 2 == 0)))),
        labels=["false", "true"],
    ),
    Case(
        "b15k_doccano",
        "audit d.jsonl",
        files(d__jsonl=lines([{"id": 1, "text": t, "label": [k], "Comments": []} for t, k in ROWS])),
        code=0,
        said=["Every row has exactly one label, so this is single-label data"],
    ),
    Case(
        "b15l_spacy_cats",
        "audit d.jsonl",
        files(d__jsonl=lines([{"text": t, "cats": {k: 1.0}} for t, k in ROWS])),
        code=0,
        said=["Every row has exactly one label"],
    ),
    Case(
        "b15m_text_list",
        "audit d.jsonl",
        files(d__jsonl=lines([{"text": t.split(), "label": k} for t, k in ROWS])),
        said=["the text is of type list; join the words of a list into one text"],
    ),
    Case(
        "b17_pickle",
        "audit d.pkl",
        files(d__pkl=pickle.dumps(records())),
        said=["a Python pickle, which emotune never loads"],
    ),
    reads(
        "b18_glob",
        "audit 'ds/*.csv'",
        files(ds___a__csv=delimited(ROWS[:15]), ds___b__csv=delimited(ROWS[15:])),
        said=["'\\*.csv' matches 'a.csv', 'b.csv', read as one table"],
    ),
    reads(
        "b18b_shards",
        "audit ds",
        files(**{f"ds___{s}__csv": delimited(ROWS[:15]) for s in ("train-0", "train-1", "test")}),
        said=["train from 'train-0.csv', 'train-1.csv'"],
    ),
    reads(
        "b18c_audit_eval",
        "audit ds",
        files(**{f"ds___{s}__csv": delimited(ROWS) for s in ("train", "eval", "test")}),
        said=["Taken as the validation split: 'eval.csv'"],
    ),
    Case(
        "b19_kaggle_headerless_txt",
        "run --data ds",
        files(**{f"ds___{s}__txt": "".join(f"{t};{k}\n" for t, k in ROWS) for s in ("train", "val", "test")}),
        said=[NO_NAME, "--columns text,label"],
    ),
    Case(
        "b19_kaggle_headerless_txt",
        "run --data ds --columns text,label",
        files(**{f"ds___{s}__txt": "".join(f"{t} in {s};{k}\n" for t, k in ROWS) for s in ("train", "val", "test")}),
        said=[REACHED],
    ),
    reads(
        "b19_kaggle_headerless_txt",
        "audit ds/train.txt --columns text,label",
        files(ds___train__txt="".join(f"{t};{k}\n" for t, k in ROWS)),
    ),
    reads("b20_path_spaces", "audit 'my data é/d 1.csv'", files(**{"my data é___d 1__csv": delimited(ROWS)})),
    Case(
        "b21_int_train_name_test",
        "run --data tr.csv --test-data te.csv",
        files(tr__csv=delimited(labelled(lambda i, _: i % 6)), te__csv=delimited(ROWS)),
        said=["labels that the training rows lack"],
    ),
    Case(
        "b22_case_test",
        "run --data tr.csv --test-data te.csv",
        files(tr__csv=delimited(ROWS), te__csv=delimited(labelled(lambda _, k: k.title()))),
        said=["labels that the training rows lack", "If they differ only in case: --map Anger=anger --map Fear=fear"],
    ),
    Case(
        "b23b_test_one_class",
        "run --data tr.csv --validation-data v.csv --test-data te.csv",
        files(tr__csv=delimited(ROWS), v__csv=delimited(ROWS), te__csv=delimited([("a day", "joy")] * 3)),
        said=[REACHED],
    ),
    Case(
        "b23c_val_one_row",
        "run --data tr.csv --validation-data v.csv --test-data te.csv",
        files(tr__csv=delimited(ROWS), v__csv=delimited(ROWS[:1]), te__csv=delimited([("a day", "joy")])),
        said=[REACHED],
    ),
    Case(
        "b24_imbalance99",
        "run --data d.csv",
        files(
            d__csv=delimited([(f"{t} {i}", "anger" if i % 100 == 0 else "joy") for i, (t, _) in enumerate(ROWS * 20)])
        ),
        said=[REACHED, "The classes are unbalanced", "docs/how-to.md"],
    ),
    Case(
        "b24b_imbalance_2rows",
        "run --data d.csv",
        files(d__csv=delimited([(f"{t} {i}", "anger" if i < 2 else "joy") for i, (t, _) in enumerate(ROWS * 10)])),
        said=["class 'anger' has 2 "],
    ),
    Case(
        "b26_goemo_parquet",
        "audit d.parquet",
        files(d__parquet=parquet({"text": [t for t, _ in ROWS], "labels": [[1, 2]] * 30})),
        code=0,
        said=[MULTI],
    ),
    reads("base", "audit train.csv", None, 420),
    Case(
        "e01_file_as_text",
        "predict TUNED messages.csv",
        files(messages__csv=delimited(ROWS)),
        code=0,
        said=["text,label,predicted_label,predicted_probability\n", r"\n[^,\n]+,joy,\w+,0\.\d+\n"],
    ),
    Case(
        "e02_dash_text",
        "predict TUNED '-1 stars, would not buy again'",
        said=[r"predict \S+ -- '-1 stars, would not buy again'"],
    ),
    Case(
        "e02_dash_text",
        "predict TUNED -- '-1 stars, would not buy again'",
        code=0,
        said=["-1 stars, would not buy again"],
    ),
    Case("e02_dash_text", "predict TUNED '--help me, I am so sad'", said=[r"predict \S+ -- '--help me, I am so sad'"]),
    Case(
        "e04_stdin_blank_end",
        "predict TUNED",
        stdin=b"so happy\n\nso sad\n\n",
        code=0,
        said=["so happy\n", "so sad\n", r"Skipped: 2 blank lines \(lines 2, 4\)"],
    ),
    Case("e04_stdin_blank_end", "predict TUNED", stdin=b"", said=["Standard input is empty"]),
    Case(
        "e05_txt_with_semicolon",
        "predict TUNED --file m.txt",
        files(m__txt="text;label\nI am glad; really;joy\nnothing here\n"),
        said=["line 3: no semicolon in 'nothing here'"],
    ),
    Case(
        "e05b_txt_header_text",
        "predict TUNED --file m.txt",
        files(m__txt="text\nI am glad\nsad me\n"),
        code=0,
        said=["I am glad\n"],
    ),
    Case(
        "e05c_txt_no_header_semis",
        "predict TUNED --file m.txt",
        files(m__txt="My message; a comment;emotion\nI am glad; really;joy\n"),
        code=0,
        said=["I am glad; really;joy\n"],
    ),
    Case(
        "e07_numeric_text_jsonl",
        "predict TUNED --file m.jsonl",
        files(m__jsonl='{"text":"ok fine"}\n{"text":5}\n'),
        said=["line 2: the text is of type int"],
    ),
    Case(
        "e08_eval_ints",
        "evaluate TUNED --data m.csv",
        files(m__csv=delimited(labelled(lambda i, _: i % 6))),
        said=["labels that the model does not have"],
    ),
    Case(
        "e08b_eval_case",
        "evaluate TUNED --data m.csv",
        files(m__csv=delimited(labelled(lambda _, k: k.title()))),
        said=["labels that the model does not have"],
    ),
    Case(
        "e08c_eval_extra_class",
        "evaluate TUNED --data m.csv",
        files(m__csv=delimited([*ROWS, ("so so", "neutral")])),
        said=["labels that the model does not have: 'neutral'"],
    ),
    Case(
        "e08e_eval_dir_train_only",
        "evaluate TUNED --data ds",
        files(ds___train__csv=delimited(ROWS)),
        said=["has no test split"],
    ),
    Case(
        "e08f_eval_eval_split",
        "evaluate TUNED --data ds --split eval",
        files(**{f"ds___{s}__csv": delimited(ROWS) for s in ("train", "eval", "dev")}),
        said=["has no eval split"],
    ),
    Case(
        "e08f_eval_eval_split",
        "evaluate TUNED --data ds --split dev",
        files(**{f"ds___{s}__csv": delimited(ROWS) for s in ("train", "eval", "dev")}),
        code=0,
        said=["accuracy"],
    ),
    Case(
        "e09_compare_csvs",
        "compare a.csv b.csv",
        files(
            a__csv=delimited([(t, k, k) for t, k in ROWS], "text,label,prediction"),
            b__csv=delimited([(t, k, "joy") for t, k in reversed(ROWS)], "text,label,prediction"),
        ),
        code=0,
        said=[r"0 rows fixed \(wrong before, right after\) and \d+ rows broken", "predicts 'joy' for every row"],
    ),
    Case(
        "e09_compare_csvs",
        "compare a.csv b.csv",
        own=files(a__csv=delimited(ROWS), b__csv=delimited(ROWS)),
        said=[
            "a.csv has no column 'prediction'; its columns are 'text', 'label'",
            "'text', 'label', 'prediction'",
            "--output",
        ],
    ),
    Case("e09b_compare_dir_with_predictions", "compare a b", two_predictions, said=["has no emotune.json"]),
    Case(
        "r09_arabic",
        "run --data d.csv",
        files(d__csv=delimited(labelled(lambda i, _: ("سلبي", "إيجابي")[i % 2]))),
        said=[REACHED],
    ),
    Case(
        "r10_turkish",
        "run --data d.csv",
        files(d__csv=delimited(labelled(lambda i, _: ("Kötü", "İyi")[i % 2]))),
        said=[REACHED],
    ),
    Case(
        "r11_emoji_only",
        "audit d.csv --model bundled:minilm",
        files(d__csv=delimited([("😀 😂"[: 1 + i % 2], ("joy", "sad")[i % 2]) for i in range(30)])),
        code=0,
        said=["(?i)unknown"],
    ),
    Case(
        "r15_rater_rows",
        "run --data d.csv",
        files(d__csv=delimited([(t, k, f"a{rater}") for t, k in ROWS * 3 for rater in range(3)], "text,label,rater")),
        said=[REACHED],
        unsaid=["of test (is|are) also in training"],
    ),
]


# --- running them -----------------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tiny_saved: Path, tiny_bert: Path, tmp_path: Path) -> Run:
    """Run a case in the current folder and check what comes of it; `emotune run` ends where the base model would be loaded."""

    class Reached(EmotuneError):
        pass

    def reached(*_: Any, **__: Any) -> Any:
        raise Reached(REACHED)

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def check(case: Case, rows: int | None) -> None:
        words = shlex.split(case.command)
        if words[0] == "audit":
            words += ["--no-label-errors", "--json"]
        elif words[0] == "run":
            words += ["--model", str(tiny_bert), "--output", str(tmp_path / "output")]
            monkeypatch.setattr("emotune.pipeline.load_base", reached)
        elif words[0] == "predict" and "TUNED" in words:
            words[1:2] = [str(tiny_saved), "--base", str(tiny_bert), "--precision", "fp32", "--device", "cpu"]
        elif words[0] == "evaluate":
            words[1:2] = [str(tiny_saved), "--base", str(tiny_bert)]
        result = CliRunner().invoke(app, words, input=case.stdin)
        shown = f"{result.stdout}\n{result.stderr}"
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code in ((0, 2) if case.code == EITHER else (case.expected_code,)), shown
        for pattern in case.said:
            assert re.search(pattern, shown, re.DOTALL if ".*" in pattern else 0), f"{pattern!r} is not in: {shown}"
        for pattern in case.unsaid:
            assert not re.search(pattern, shown), f"{pattern!r} is in: {shown}"
        if words[0] == "audit" and result.exit_code == 0:
            counts = json.loads(result.stdout)["rows"].get("train", {})
            assert rows is None or sum(counts.values()) == rows
            assert not case.labels or sorted(counts) == list(case.labels)
        if result.exit_code:
            assert result.stderr.count("\n") <= 5, result.stderr

    return check


NUMBERED = [pytest.param(case, id=f"{case.name}-{number}") for number, case in enumerate(CASES)]


@pytest.mark.parametrize("case", [case for case, named in zip(NUMBERED, CASES, strict=True) if named.name != "base"])
def test_small(case: Case, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    if (write := case.files or case.own) is not None:
        write(here)
    run(case, case.small)


@pytest.mark.slow
@pytest.mark.parametrize("case", NUMBERED if FOLDER is not None else [])
def test_of_the_folder(case: Case, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FOLDER is not None
    here = Path(shutil.copytree(FOLDER / case.name, tmp_path / "here"))
    if case.own is not None:
        case.own(here)
    monkeypatch.chdir(here)
    run(case, case.rows)


def test_every_folder_is_walked() -> None:
    if FOLDER is None:
        if os.environ.get("EMOTUNE_REQUIRE_CASES"):
            pytest.fail("EMOTUNE_REQUIRE_CASES is set, and EMOTUNE_CASES names no folder")
        pytest.skip("EMOTUNE_CASES is not set: it names the folder of the cases")
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == {case.name for case in CASES}


def test_a_class_of_three_rows_is_in_every_split() -> None:
    """b24b: with three rows it passed, and none of them stood in validation or test."""
    rows = [
        (f"{STARTS[i % 6]} {ENDS[i % 5]} for {i} weeks of {i * i}", "anger" if i < 3 else "joy") for i in range(300)
    ]
    data = load_data(rows)
    assert [split.counts["anger"] for split in data.splits] == [1, 1, 1]


@pytest.mark.parametrize("rows", [1, 4])
def test_so_few_test_rows_can_show_no_difference(rows: int) -> None:
    """b23c: mid-p McNemar of n rows that all change sides is 2 ** -n, below 0.05 from five rows on."""
    split = Split("test", ("a day",) * rows, np.zeros(rows, dtype=np.int64), ("joy", "anger"))
    one, other = (np.full(rows, label, dtype=np.int64) for label in (1, 0))
    probabilities = np.full((rows, 2), 0.5)
    before, after = (
        Evaluation(name, split, probabilities, None, found, score(split, found, probabilities), seconds=1.0)
        for name, found in (("before", one), ("after", other))
    )
    assert "four times out of five" not in verdict(compare(before, after))
