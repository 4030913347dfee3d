"""Files are predicted on a Ray cluster of two workers; one of them is killed, and no row is lost or there twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emotune.bulk.cluster import check_coverage
from emotune.bulk.packing import packed, unpacked
from emotune.bulk.places import SUMMARY, cluster_format, find_files, output_folder, place
from emotune.data.formats.files import KNOWN_SUFFIXES
from emotune.data.places.texts import open_unlabelled
from emotune.inference.predictor import Predictor
from emotune.system.errors import ConfigError, DataError, OutputError

pytest.importorskip("ray", reason="ray is not installed: the extra emotune[ray]")

ROWS = 9000


@pytest.fixture
def frames() -> list[pd.DataFrame]:
    return [
        pd.DataFrame(
            {
                "id": [f"{part}-{i:05}" for i in range(ROWS)],
                "text": [f"so {'happy ' * (i % 5)}and {'sad ' * (i % 3)}number {part} {i}" for i in range(ROWS)],
            }
        )
        for part in range(3)
    ]


# Two machines, as far as Ray can tell. When the first parts are written, one of them is killed like a machine that loses
# its power; another one takes its place later.
SCRIPT = """
import os, sys, threading, time
from pathlib import Path
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
from ray.cluster_utils import Cluster
size = dict(object_store_memory=100 * 2**20)
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False, **size})
second = cluster.add_node(num_cpus=2, **size)
os.environ["RAY_ADDRESS"] = cluster.address
import emotune.bulk.cluster as bulk
made = bulk.ClusterJob
bulk.ClusterJob = lambda **options: made(**options, rows_per_part=8192)
import emotune.data.unlabelled
def kill():
    partial = Path(".out.partial")
    while not list(partial.glob("part-*")):
        time.sleep(0.05)
    cluster.remove_node(second, allow_graceful=False)
    Path("killed").write_text(str(len(list(partial.glob("part-*")))))
threading.Thread(target=kill, daemon=True).start()
sys.argv = ["emotune", *sys.argv[1:]]
import emotune.cli
try:
    emotune.cli.main()
finally:
    cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_worker_is_killed(frames: list[pd.DataFrame], tiny_saved: Path, tiny_bert: Path, tmp_path: Path) -> None:
    for number, frame in enumerate(frames):
        frame.to_parquet(tmp_path / f"day-{number}.parquet")
    command = ["predict", tiny_saved, "day-*.parquet", "-o", "out", "--engine", "ray", "--base", tiny_bert]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, command), "--workers", "2", "--precision", "fp32"],
        capture_output=True,
        text=True,
        timeout=880,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "killed").exists(), "the job ended before a worker could be killed"
    assert "every row is there exactly once" in done.stderr
    found = pd.read_parquet(tmp_path / "out").sort_values("id", ignore_index=True)
    given = pd.concat(frames, ignore_index=True)
    assert list(found.id) == list(given.id)
    assert list(found.text) == list(given.text)
    import emotune

    with Predictor(emotune.load(tiny_saved, base=tiny_bert), precision="fp32") as predictor:
        assert list(found.label) == list(predictor.predict(list(given.text)).labels)
    summary = json.loads((tmp_path / "out" / "_summary.json").read_text())
    assert summary["rows"] == [ROWS] * 3
    assert not (tmp_path / ".out.partial").exists()


class TestFindingFiles:
    def test_patterns_and_folders(self, tmp_path: Path) -> None:
        for name in ("a-1.csv", "a-2.csv", "b.csv.gz", "notes.md", "_summary.json"):
            (tmp_path / name).write_text("text\nx\n", encoding="utf-8")
        names = [
            [Path(path).name for path in find_files([str(tmp_path / given)])] for given in ("a-*.csv", "b.csv.gz", "")
        ]
        assert names == [["a-1.csv", "a-2.csv"], ["b.csv.gz"], ["a-1.csv", "a-2.csv", "b.csv.gz"]]
        assert len(find_files([str(tmp_path), str(tmp_path / "a-1.csv")])) == 3

    def test_all_formats_that_are_read(self, tmp_path: Path) -> None:
        for name in KNOWN_SUFFIXES:
            (tmp_path / f"a{name}").write_bytes(b"x")
            (found,) = find_files([str(tmp_path / f"a{name}")])
            assert Path(found).name == f"a{name}"
        written = {name: cluster_format([f"a{name}"], None) for name in (".xlsx", ".db", ".zip", ".arrow", ".json")}
        assert written == {".xlsx": "csv", ".db": "csv", ".zip": "csv", ".arrow": "parquet", ".json": "jsonl"}

    def test_other_file_systems(self) -> None:
        import fsspec

        memory = fsspec.filesystem("memory")
        with memory.open("/days/1.csv", "wb") as stream:
            stream.write(b"text\nx\n")
        assert find_files(["memory://days/*.csv"]) == ("memory:///days/1.csv",)

    def test_nothing_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="names no data file"):
            find_files([str(tmp_path / "*.csv")])
        with pytest.raises(ConfigError, match="cannot be opened"):
            find_files(["nosuch://bucket/a.csv"])

    def test_several_formats_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("text\nx\n", encoding="utf-8")
        (tmp_path / "b.jsonl").write_text('{"text": "x"}\n', encoding="utf-8")
        with pytest.raises(DataError, match="several formats: 'csv', 'jsonl'"):
            find_files([str(tmp_path)])

    def test_an_output_keeps_its_file_system(self, tmp_path: Path) -> None:
        assert place(Path("s3://bucket/labelled")) == "s3://bucket/labelled"
        assert place(tmp_path / "out") == str(tmp_path / "out")

    def test_lines_become_objects(self) -> None:
        assert cluster_format(["a.txt"], None) == "jsonl"
        with pytest.raises(ConfigError, match="--engine ray writes rows"):
            cluster_format(["a.csv"], "text")


class TestOutputFolder:
    """On this machine and on a file system that is not this machine's."""

    @pytest.fixture(params=["local", "memory"])
    def url(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        name = f"{tmp_path.name}-out"
        return str(tmp_path / name) if request.param == "local" else f"memory:///{name}"

    @staticmethod
    def write(url: str, text: str, *, overwrite: bool = False) -> None:
        import fsspec

        with output_folder(url, overwrite) as (written, finish):
            with fsspec.open(f"{written}/part", "wb") as stream:
                stream.write(text.encode())
            if text == "bad":
                raise RuntimeError("the job fails")
            finish("", {"rows": 1})

    @staticmethod
    def files(url: str) -> dict[str, bytes]:
        import fsspec

        system, path = fsspec.core.url_to_fs(url)
        parent = path.rsplit("/", 1)[0] or "/"
        beside = [name for name in system.find(parent) if "-out" in name]
        return {name.removeprefix(f"{path}/"): system.cat_file(name) for name in beside if Path(path).name in name}

    def test_it_is_complete(self, url: str) -> None:
        self.write(url, "one")
        assert set(self.files(url)) == {"part", SUMMARY}

    def test_a_failed_job_leaves_nothing(self, url: str) -> None:
        with pytest.raises(RuntimeError):
            self.write(url, "bad")
        assert self.files(url) == {}

    def test_an_existing_one_is_replaced_at_the_end(self, url: str) -> None:
        self.write(url, "one")
        with pytest.raises(OutputError, match="exists"):
            self.write(url, "two")
        with pytest.raises(RuntimeError):
            self.write(url, "bad", overwrite=True)
        assert self.files(url)["part"] == b"one"
        self.write(url, "two", overwrite=True)
        assert self.files(url)["part"] == b"two"
        assert set(self.files(url)) == {"part", SUMMARY}

    def test_what_is_no_result_stays(self, url: str) -> None:
        import fsspec

        with fsspec.open(f"{url}/letter", "wb", auto_mkdir=True) as stream:
            stream.write(b"dear")
        with pytest.raises(OutputError, match="is no result of emotune"):
            self.write(url, "one", overwrite=True)
        assert self.files(url) == {"letter": b"dear"}

    def test_an_unknown_one_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="cannot be opened"):
            self.write("nosuch://bucket/out", "one")


@pytest.mark.parametrize(
    ("starts", "seen"),
    [
        ([0, 8, 16], None),
        ([0, 16], "missing around row 9"),
        ([0, 8, 8, 16], "there twice around row 17"),
        ([0, 8], "16 rows were"),
    ],
)
def test_every_row_is_covered_once(starts: list[int], seen: str | None) -> None:
    parts = [{"file": 0, "start": start, "done": {"read": 8}} for start in starts]
    if seen is None:
        check_coverage({0: 24}, parts)
    else:
        with pytest.raises(OutputError, match=seen):
            check_coverage({0: 24}, parts)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "txt"])
def test_chunks_arrive_as_they_were_sent(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        path.write_text("text,,\na,1,2\n,3,4\nb,5,6\n", encoding="utf-8")
    elif kind == "jsonl":
        path.write_text('{"text": "a", "deep": [1, {"x": null}]}\n[]\n{"text": "b"}\n', encoding="utf-8")
    elif kind == "parquet":
        pq.write_table(
            pa.table({"text": ["a", None, "b"], "tags": [["x"], None, []], "n": pa.array([1, 2, 3], pa.int8())}), path
        )
    else:
        path.write_text("a\n\nb\n", encoding="utf-8")
    (chunk,) = open_unlabelled(path).chunks(0)
    again = unpacked(packed(chunk))
    assert (again.read, again.numbers, again.texts, again.skipped) == (
        chunk.read,
        chunk.numbers,
        chunk.texts,
        chunk.skipped,
    )
    assert list(map(list, again.cells.rows(chunk.cells.columns))) == list(
        map(list, chunk.cells.rows(chunk.cells.columns))
    )
    assert again.cells.columns == chunk.cells.columns
