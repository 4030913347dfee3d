"""Engine that runs a model of OpenVINO: every thread computes batches of its own, so that none waits for another."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.inference.openvino_model import MODEL
from emotune.models.encoding import WINDOWS, Encoded, batches_by_length, pooled
from emotune.system.progress import SILENT, Progress
from emotune.system.quiet import without_telemetry

# Larger batches have more padding and gain nothing else (benchmarks/LOG.md).
_MAX_TOKENS = 1024


class OpenVinoEngine:
    """Compiled model, for any number of calls by any number of threads at once.

    OpenVINO's own queue of requests is not used. It calls Python from its threads, and was seen to wait for one of them
    forever when a model was released.

    Args:
        folder: A folder with the model; OpenVINO keeps what it has compiled there as well.
        threads: Number of threads.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        with without_telemetry():
            import openvino

        self._threads = threads
        self._model = openvino.Core().compile_model(
            folder / MODEL,
            "CPU",
            {"NUM_STREAMS": threads, "INFERENCE_NUM_THREADS": threads, "CACHE_DIR": str(folder / "compiled")},
        )
        self._inputs = [port.get_any_name() for port in self._model.inputs]
        self._own = threading.local()  # the request of each thread
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="openvino")

    def logits(
        self, encoded: Encoded, *, progress: Progress = SILENT, description: str = "predicting"
    ) -> NDArray[np.float32]:
        """Return the logits of every text, as `Engine.logits`."""
        # Few texts are shared among the threads too.
        share = -(-int(encoded.lengths.sum()) // self._threads)
        batches = batches_by_length(encoded.lengths, min(_MAX_TOKENS, max(share, int(encoded.lengths.max()))))
        with progress.bar(description, len(encoded)) as advance:
            running = [self._pool.submit(self._compute, encoded, rows) for rows in batches]
            try:
                outputs = []
                for rows, future in zip(batches, running, strict=True):
                    outputs.append(future.result())
                    advance(len(rows))
            finally:
                for future in running:
                    future.cancel()
        result = np.empty((len(encoded), outputs[0].shape[1]), dtype=np.float32)
        for rows, values in zip(batches, outputs, strict=True):
            result[rows] = values
        return result

    def _compute(self, encoded: Encoded, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits of some texts, shape (rows, classes), in the thread that calls."""
        if not hasattr(self._own, "request"):
            self._own.request = self._model.create_infer_request()
        batch = encoded.batch(rows)
        windows: Any = batch.pop(WINDOWS, None)
        request = self._own.request
        request.infer({name: batch[name].numpy() for name in self._inputs})
        values: NDArray[np.float32] = request.get_output_tensor().data.copy()
        if windows is None:
            return values
        import torch

        averaged: NDArray[np.float32] = pooled(torch.from_numpy(values), windows).numpy()
        return averaged
