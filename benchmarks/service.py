"""Speed, latency, start and memory of `emotune serve`, against bulk prediction in one process.

    python benchmarks/service.py fine_tuned_lora_model
    python benchmarks/service.py fine_tuned_lora_model --seconds 5 --copies 10

Protocol: the folder of `emotune run --preset quickstart` (bundled MiniLM, LoRA), in fp32, with the messages of the
bundled sample's test split. Bulk is `Predictor.predict` of all messages, 20 times over, in a process of its own. The
service is a process too, on loopback, without its page. 32 clients, each with its own connection, send one message at a
time and wait for the answer (closed loop). Then requests arrive at random (Poisson) at half of that rate, on as many
connections as they need, and latency is measured from the planned time of a request to the end of its answer. The load
generator shares the machine, so its processor time is part of the result. Processor seconds per text, of bulk and of
the service, are given as well: other programs on the machine disturb them less than wall time.

Start is from `exec` to the first answer 200 of /ready. Memory is the resident memory of the service after a round of
predictions with every model, with one folder and with copies of it under other names.

The results go to benchmarks/results/service.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, write

CLIENTS = 32
ROUNDS = 20
LONGEST_START = 300.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running service.

    Attributes:
        port: Its port.
        pid: Its process.
        start_seconds: Wall time until it was ready.
        start_processor_seconds: Processor time until then.
    """

    port: int
    pid: int
    start_seconds: float
    start_processor_seconds: float


@contextmanager
def serving(folders: list[str]) -> Iterator[Server]:
    """Start a service, and stop it at the end."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "emotune",
        "serve",
        *folders,
        "--port",
        str(port),
        "--no-page",
        "--precision",
        "fp32",
    ]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        try:
            while not is_ready(port):
                if process.poll() is not None or time.perf_counter() - started > LONGEST_START:
                    log.seek(0)
                    raise SystemExit(log.read().decode())
                time.sleep(0.02)
            yield Server(port, process.pid, time.perf_counter() - started, processor_seconds(process.pid))
        finally:
            process.terminate()
            process.wait(60)


def is_ready(port: int) -> bool:
    """Return whether /ready answers 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_bytes(pid: int) -> int:
    """Return the resident memory of a process, with the mapped pages of its files."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this system does not tell the memory of a process")


class Client:
    """A connection that sends one message at a time."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def open(self) -> Client:
        """Connect."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def predict(self, model: str, text: str) -> None:
        """Send a message, and read the answer."""
        body = json.dumps({"texts": [text]}).encode()
        head = (
            f"POST /v1/models/{model}/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        found = await self.reader.readuntil(b"\r\n\r\n")
        if not found.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the service answered {found[:200]!r}")
        length = next(int(line[15:]) for line in found.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await self.reader.readexactly(length)


async def closed_loop(port: int, model: str, texts: list[str], seconds: float) -> tuple[int, float, list[float]]:
    """Return answered requests, the time they took, and their latencies, with 32 clients that wait for each answer."""
    clients = [await Client(port).open() for _ in range(CLIENTS)]
    latencies: list[float] = []
    started = time.perf_counter()

    async def one(client: Client, number: int) -> None:
        generator = random.Random(number)
        while time.perf_counter() - started < seconds:
            asked = time.perf_counter()
            await client.predict(model, generator.choice(texts))
            latencies.append(time.perf_counter() - asked)

    await asyncio.gather(*(one(client, number) for number, client in enumerate(clients)))
    taken = time.perf_counter() - started
    for client in clients:
        client.writer.close()
    return len(latencies), taken, latencies


async def open_loop(port: int, model: str, texts: list[str], rate: float, seconds: float) -> list[float]:
    """Return latencies of requests that arrive at random, from their planned times."""
    generator = random.Random(0)
    idle: list[Client] = []
    latencies: list[float] = []
    tasks: list[asyncio.Task[None]] = []
    planned = started = time.perf_counter()

    async def one(planned: float, text: str) -> None:
        client = idle.pop() if idle else await Client(port).open()
        await client.predict(model, text)
        latencies.append(time.perf_counter() - planned)
        idle.append(client)

    while planned - started < seconds:
        planned += generator.expovariate(rate)
        await asyncio.sleep(max(0.0, planned - time.perf_counter()))
        tasks.append(asyncio.create_task(one(planned, generator.choice(texts))))
    await asyncio.gather(*tasks)
    for client in idle:
        client.writer.close()
    return latencies


def percentile(values: list[float], share: float) -> float:
    """Return a percentile in milliseconds."""
    return round(sorted(values)[min(len(values) - 1, int(share * len(values)))] * 1000, 1)


def load(server: Server, model: str, texts: list[str], seconds: float) -> dict[str, Any]:
    """Return the figures under load."""
    asyncio.run(closed_loop(server.port, model, texts, 2.0))  # warms up
    before = processor_seconds(server.pid)
    own = time.process_time()
    number, taken, waited = asyncio.run(closed_loop(server.port, model, texts, seconds))
    used = processor_seconds(server.pid) - before
    generator = time.process_time() - own
    rate = number / taken
    latencies = asyncio.run(open_loop(server.port, model, texts, rate / 2, seconds))
    return {
        "texts_per_second": round(rate, 1),
        "median_milliseconds": percentile(waited, 0.5),
        "p99_milliseconds": percentile(waited, 0.99),
        "processor_milliseconds_per_text": round(used / number * 1000, 3),
        "load_generator_milliseconds_per_text": round(generator / number * 1000, 3),
        "half_load": {
            "texts_per_second": round(rate / 2, 1),
            "requests": len(latencies),
            "median_milliseconds": percentile(latencies, 0.5),
            "p99_milliseconds": percentile(latencies, 0.99),
        },
    }


BULK = """
import json, sys, time
from emotune.serve.models import Models
texts = json.load(sys.stdin)
predictor = next(iter(Models.open([sys.argv[1]], precision="fp32"))).predictor
predictor.predict(texts)
rates = []
processor = time.process_time()
for _ in range(int(sys.argv[2])):
    started = time.perf_counter()
    predictor.predict(texts)
    rates.append(len(texts) / (time.perf_counter() - started))
print(json.dumps([rates, (time.process_time() - processor) / len(texts) / len(rates)]))
"""


def bulk(folder: str, texts: list[str], rounds: int) -> dict[str, Any]:
    """Return the rate of prediction in one process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BULK, folder, str(rounds)],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    rates, processor = json.loads(done.stdout)
    return {
        "texts_per_second": round(statistics.median(rates), 1),
        "processor_milliseconds_per_text": round(processor * 1000, 3),
    }


def memory(folder: str, copies: int, text: str) -> dict[str, Any]:
    """Return the memory with one folder, and with copies of it."""
    found: dict[str, Any] = {"folders": copies}
    with tempfile.TemporaryDirectory() as work:
        names = [f"copy-{number}" for number in range(copies)]
        for name in names:
            shutil.copytree(folder, Path(work) / name)
        for kind, chosen in (("one", names[:1]), ("many", names)):
            with serving([str(Path(work) / name) for name in chosen]) as server:

                async def ask(chosen: list[str] = chosen, port: int = server.port) -> None:
                    client = await Client(port).open()
                    for name in chosen * 3:
                        await client.predict(name, text)
                    client.writer.close()

                asyncio.run(ask())
                found[f"{kind}_bytes"] = memory_bytes(server.pid)
    found["ratio"] = round(found["many_bytes"] / found["one_bytes"], 3)
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Speed, latency, start and memory of emotune serve.")
    parser.add_argument("folder", help="a folder of emotune run --preset quickstart")
    parser.add_argument("--seconds", type=float, default=20, help="length of each load")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of bulk prediction")
    parser.add_argument("--copies", type=int, default=10, help="folders for the memory")
    parser.add_argument("--only", choices=("load", "memory"), help="measure a part, and write nothing")
    arguments = parser.parse_args()

    from emotune.data.load import load_data

    texts = list(load_data("bundled:sample").test.texts)
    folder = str(Path(arguments.folder).resolve())
    found: dict[str, Any] = {"machine": machine()}
    if arguments.only != "memory":
        found["bulk"] = bulk(folder, texts, arguments.rounds)
        with serving([f"model={folder}"]) as server:
            found["start"] = {
                "seconds": round(server.start_seconds, 2),
                "processor_seconds": round(server.start_processor_seconds, 2),
            }
            found["service"] = load(server, "model", texts, arguments.seconds)
        found["share_of_bulk"] = round(found["service"]["texts_per_second"] / found["bulk"]["texts_per_second"], 3)
    if arguments.only != "load":
        found["memory"] = memory(folder, arguments.copies, texts[0])
    print(json.dumps(found, indent=2))
    if arguments.only is None:
        write("service", found)


if __name__ == "__main__":
    main()
