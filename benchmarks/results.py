"""Functions that the benchmarks share: description of the machine, results on disk, and tables in the documents."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

from emotune.system.machine import processor

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
PACKAGES = ("emotune", "torch", "transformers", "peft", "tokenizers", "numpy")


def machine() -> dict[str, Any]:
    """Return what figures depend on: processor, cores, rate of matrix products, versions."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "matrix_product_gflops": product_rates(),
        "versions": {"python": platform.python_version(), **versions},
    }


def product_rates() -> dict[str, float]:
    """Measure the rate of 1024 x 384 by 384 x 1536 products in GFLOP/s, by dtype; times scale with it."""
    import torch

    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16}
    return {name: round(product_rate(dtype, [(384, 1536)])) for name, dtype in dtypes.items()}


def product_rate(dtype: Any, shapes: list[tuple[int, int]], rows: int = 1024) -> float:
    """Measure the GFLOP/s of products of `rows` rows with weights of these shapes, the median of 60 of each."""
    import torch

    seconds = 0.0
    operations = 0
    for inputs, outputs in shapes:
        x, weight = torch.randn(rows, inputs).to(dtype), torch.randn(outputs, inputs).to(dtype)
        times = []
        for _ in range(60):
            started = time.perf_counter()
            torch.nn.functional.linear(x, weight)
            times.append(time.perf_counter() - started)
        seconds += statistics.median(times)
        operations += 2 * rows * inputs * outputs
    return operations / seconds / 1e9


def write(name: str, value: dict[str, Any]) -> None:
    """Write a result as JSON."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read(name: str) -> dict[str, Any] | None:
    """Read a result written earlier; return None where there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def quote(name: str, table: str, page: Path = PAGE) -> None:
    """Write a table beside the results, and insert it between its two markers in a document."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(table, encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    head, begin, rest = text.partition(f"<!-- results: written by benchmarks/{name}.py -->\n")
    _, end, tail = rest.partition("<!-- end of results -->")
    if not begin or not end:
        raise SystemExit(f"{page.name} has lost the markers around the results of {name}")
    page.write_text(f"{head}{begin}{table}{end}{tail}", encoding="utf-8")
