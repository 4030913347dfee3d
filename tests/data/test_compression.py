"""Compressed files are read by what they are, not by their names, and written so that the usual programs read them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from emotune.data.formats.compression import compressed, format_stem, format_suffix, open_to_read
from emotune.data.load import load_data
from emotune.data.places.texts import open_unlabelled
from emotune.system.errors import DataError

from ..facts import states

ROWS = "text,label\n" + "".join(f"a day number {i},{'joy' if i % 2 else 'fear'}\n" for i in range(40))


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
}


@pytest.mark.parametrize("suffix", PACKERS)
def test_content_is_decompressed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "anything"
    path.write_bytes(PACKERS[suffix](ROWS.encode()))
    with open_to_read(path) as stream:
        assert stream.read() == ROWS.encode()


@pytest.mark.parametrize("suffix", PACKERS)
def test_several_members_are_one_file(tmp_path: Path, suffix: str) -> None:
    """What `cat a.gz b.gz` makes."""
    path = tmp_path / "joined"
    path.write_bytes(PACKERS[suffix](b"one\n") + PACKERS[suffix](b"two\n"))
    with open_to_read(path) as stream:
        assert stream.read() == b"one\ntwo\n"


@pytest.mark.parametrize("suffix", PACKERS)
def test_labelled_rows_are_read(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"train.csv{suffix}").write_bytes(PACKERS[suffix](ROWS.encode()))
    (tmp_path / "plain.csv").write_text(ROWS, encoding="utf-8")
    packed, plain = load_data(tmp_path / f"train.csv{suffix}"), load_data(tmp_path / "plain.csv")
    assert packed.train.texts == plain.train.texts
    assert packed.test.texts == plain.test.texts


def test_a_folder_of_compressed_splits(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        rows = ROWS.replace("a day", f"a {split} day")
        (tmp_path / f"{split}.csv.gz").write_bytes(gzip.compress(rows.encode()))
    data = load_data(tmp_path)
    assert [len(split) for split in data.splits] == [40, 40, 40]
    assert data.validation.texts[0] == "a validation day number 0"


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.CSV.BZ2"])
def test_a_wrong_suffix_makes_no_difference(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(lzma.compress(ROWS.encode()))
    assert next(open_unlabelled(tmp_path / name).chunks(0)).read == 40


@pytest.mark.parametrize("suffix", PACKERS)
def test_what_ends_too_early_is_damaged(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.csv{suffix}"
    path.write_bytes(PACKERS[suffix]("".join(f"{i},{i**3}\n" for i in range(9999)).encode())[:-20])
    with pytest.raises(DataError) as caught, open_to_read(path) as stream:
        stream.read()
    assert states(str(caught.value), "t.csv", "compressed with", "damaged or incomplete", "again")


def test_what_is_no_text_inside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"\x89PNG\r\n\x1a\n\0"))
    with pytest.raises(DataError, match="PNG picture"):
        open_unlabelled(tmp_path / "t.csv.gz")
    (tmp_path / "e.csv.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(DataError, match=r"0 bytes when decompressed \(gzip\)"):
        open_unlabelled(tmp_path / "e.csv.gz")


def test_a_name_that_promises_compression_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_text("text,label\na,b\n")
    with pytest.raises(DataError, match=r"not compressed, though its name says gzip\. Rename it to 't\.csv'"):
        open_unlabelled(tmp_path / "t.csv.gz")


def test_a_compressed_parquet_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "t.parquet.gz").write_bytes(gzip.compress(b"PAR1 and so on"))
    with pytest.raises(DataError, match=r"a Parquet file compressed with gzip.*Decompress the file"):
        open_unlabelled(tmp_path / "t.parquet.gz")


@pytest.mark.parametrize(
    ("kind", "read"), [("gzip", gzip.decompress), ("bzip2", bz2.decompress), ("xz", lzma.decompress)]
)
def test_others_read_what_is_written(kind: str, read: Callable[[bytes], bytes]) -> None:
    target = io.BytesIO()
    with compressed(target, kind) as stream:
        stream.write(b"hello\n" * 1000)
    assert read(target.getvalue()) == b"hello\n" * 1000


def test_zstd_as_arrow_reads_it(tmp_path: Path) -> None:
    with (tmp_path / "t.zst").open("wb") as file, compressed(file, "zstd") as stream:
        stream.write(b"hello\n" * 1000)
    with pa.input_stream(str(tmp_path / "t.zst"), compression="zstd") as stream:
        assert stream.read() == b"hello\n" * 1000


@pytest.mark.parametrize(
    ("name", "suffix", "stem"),
    [
        ("a.csv", ".csv", "a"),
        ("a.b.CSV.gz", ".csv", "a.b"),
        ("a.gz", "", "a"),
        ("a", "", "a"),
        ("t.jsonl.zst", ".jsonl", "t"),
    ],
)
def test_names(name: str, suffix: str, stem: str) -> None:
    assert (format_suffix(Path(name)), format_stem(Path(name))) == (suffix, stem)
