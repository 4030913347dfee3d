"""Files are predicted in constant memory, as the texts alone are; an interrupted job continues where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emotune.bulk import local
from emotune.bulk.answers import AnswerColumns, Wanted
from emotune.bulk.local import Job, predict_to_file
from emotune.bulk.outputs import format_for, format_name
from emotune.data.look import look_through
from emotune.data.places.texts import open_unlabelled
from emotune.folder.tuned import TunedClassifier
from emotune.inference.predictor import Predictions, Predictor
from emotune.system.errors import OutputError

ROWS = 50
IDENTITY = {"the model": "tiny"}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("unlabelled", "places.texts"):
        monkeypatch.setattr(f"emotune.data.{module}.CHUNK", 8)
    monkeypatch.setattr(local, "_SECONDS_PER_PART", 0.0)


@pytest.fixture
def predictor(tiny_tuned: TunedClassifier) -> Iterator[Predictor]:
    with Predictor(tiny_tuned, precision="fp32") as held:
        yield held


@pytest.fixture
def frame() -> pd.DataFrame:
    texts = [f"so {'happy ' * (i % 7)}and {'sad ' * (i % 4)}number {i}" for i in range(ROWS)]
    return pd.DataFrame({"id": np.arange(ROWS), "text": texts})


@pytest.fixture(params=["csv", "jsonl", "parquet"])
def source(request: pytest.FixtureRequest, frame: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / f"in.{request.param}"
    if request.param == "csv":
        frame.to_csv(path, index=False)
    elif request.param == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path, row_group_size=13)
    return path


def job_of(predictor: Predictor, source: Path, output: Path, *, stop: bool = True) -> Job:
    given = open_unlabelled(source)
    name = format_name(given, output, None)
    look = look_through(given, stop=stop, schema=name == "parquet")
    columns = AnswerColumns(
        predictor.task, predictor.labels, Wanted(probabilities=True), look.columns, nested=name == "jsonl"
    )
    return Job(predictor, given, columns, format_for(name, given, look, columns, keep_formulas=False), stop=stop)


def read(path: Path) -> pd.DataFrame:
    return {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".jsonl": lambda p: pd.read_json(p, lines=True)}[
        path.suffix
    ](path)


def test_rows_get_what_their_texts_get(predictor: Predictor, source: Path, frame: pd.DataFrame, tmp_path: Path) -> None:
    output = tmp_path / f"out{source.suffix}"
    done = predict_to_file(job_of(predictor, source, output), output, IDENTITY)
    assert (done.read, done.labelled, done.skipped) == (ROWS, ROWS, 0)
    found, alone = read(output), predictor.predict(list(frame.text))
    assert list(found.id) == list(frame.id)
    assert list(found.text) == list(frame.text)
    assert list(found.label) == list(alone.labels)
    np.testing.assert_allclose(found.probability, alone.probabilities.max(axis=1), atol=2e-6)
    assert {path.name for path in tmp_path.iterdir()} == {source.name, output.name}


class Failing(Predictor):
    """Stops like a process that is interrupted, after some lists."""

    left = 3

    def predict_each(self, lists: object, **_: object) -> Iterator[Predictions]:
        for found in super().predict_each(lists):  # type: ignore[arg-type]
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            yield found


def test_an_interrupted_job_continues_with_the_same_bytes(
    tiny_tuned: TunedClassifier, source: Path, tmp_path: Path
) -> None:
    whole, output = tmp_path / f"whole{source.suffix}", tmp_path / f"out{source.suffix}"
    with Predictor(tiny_tuned, precision="fp32") as predictor:
        predict_to_file(job_of(predictor, source, whole), whole, IDENTITY)
    with Failing(tiny_tuned, precision="fp32") as failing, pytest.raises(KeyboardInterrupt):
        predict_to_file(job_of(failing, source, output), output, IDENTITY)
    assert not output.exists()
    with Predictor(tiny_tuned, precision="fp32") as predictor:
        with pytest.raises(OutputError, match="--resume"):
            predict_to_file(job_of(predictor, source, output), output, IDENTITY)
        texts: list[str] = []
        seen = predictor.predict_each

        def noted(lists: Iterator[Sequence[str]], **_: object) -> Iterator[Predictions]:
            for found in seen(lists):
                texts.extend(found.texts)
                yield found

        predictor.predict_each = noted  # type: ignore[method-assign,assignment]
        done = predict_to_file(job_of(predictor, source, output), output, IDENTITY, resume=True)
    assert done.read == ROWS
    assert len(texts) == ROWS - 3 * 8, "rows of complete parts were predicted again"
    if source.suffix == ".parquet":  # its metadata depends on how row groups were joined
        assert pq.read_table(output).equals(pq.read_table(whole))
    else:
        assert output.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {source.name, output.name, whole.name}


def test_rows_left_out_are_listed_across_parts(predictor: Predictor, tmp_path: Path) -> None:
    texts = [" " if i in (3, 20, 21) or 24 <= i < 32 else f"happy {i}" for i in range(40)]
    pq.write_table(pa.table({"text": texts, "n": list(range(40))}), tmp_path / "in.parquet")
    output = tmp_path / "out.parquet"
    done = predict_to_file(job_of(predictor, tmp_path / "in.parquet", output, stop=False), output, IDENTITY)
    assert (done.read, done.labelled, done.skipped) == (40, 29, 11)
    assert list(pd.read_parquet(output).n) == [i for i in range(40) if texts[i] != " "]
    assert list(pd.read_csv(tmp_path / "out.parquet.skipped.csv").row) == [4, 21, 22, *range(25, 33)]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_loses_nothing(tiny_saved: Path, tiny_bert: Path, frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "in.csv", index=False)
    code = (
        "import sys, time\n"
        "import emotune.bulk.local as local, emotune.data.unlabelled as unlabelled\n"
        "unlabelled.CHUNK, local._SECONDS_PER_PART = 8, 0.0\n"
        "add = local.Parts.add\n"
        "def slowly(self, record):\n"
        "    add(self, record)\n"
        "    if 'slow' in sys.argv: time.sleep(0.5)\n"
        "local.Parts.add = slowly\n"
        "sys.argv = [word for word in sys.argv if word != 'slow'] if 'slow' not in sys.argv else sys.argv\n"
        "from emotune.cli import app\n"
        "app([word for word in sys.argv[1:] if word != 'slow'])\n"
    )
    words = ["predict", tiny_saved, "in.csv", "-o", "out.csv", "--base", tiny_bert, "--precision", "fp32"]
    command = [sys.executable, "-c", code, *map(str, words)]
    process = subprocess.Popen([*command, "slow"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    record = tmp_path / ".out.csv.parts" / "000001.json"
    deadline = time.monotonic() + 120
    while not record.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert record.exists()
    assert not (tmp_path / "out.csv").exists()
    done = subprocess.run([*command, "--resume"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    resumed = (tmp_path / "out.csv").read_bytes()
    assert subprocess.run([*command, "--overwrite"], cwd=tmp_path, capture_output=True).returncode == 0
    assert (tmp_path / "out.csv").read_bytes() == resumed
    assert list(pd.read_csv(tmp_path / "out.csv").id) == list(range(ROWS))
