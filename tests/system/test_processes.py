"""Several processes that train together: the same result in each, and the gradients of one process with the batches of all."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emotune.pipeline import run
from emotune.settings.run import RunConfig
from emotune.system.errors import ConfigError, OutputError
from emotune.training.finetune import finetune

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.models.classifier import Classifier

# Without dropout, one step an epoch: a budget for half of the rows in each of two processes, or for all of them in one.
SCRIPT = """
import json, sys
import torch
import emotune

bert, data, checkpoints, tokens, result = sys.argv[1:]
data = emotune.load_data(data)
base = emotune.load_base(bert, labels=data.labels, max_length=64)
for module in base.model.modules():
    if isinstance(module, torch.nn.Dropout):
        module.p = 0.0
base.model.config.hidden_dropout_prob = 0.0
found = {}
for sampling in ("plain", "balanced"):
    options = emotune.TrainingOptions(
        epochs=3, learning_rate=1e-2, warmup=0.0, batch_tokens=int(tokens), sampling=sampling,
        precision="fp32", device="cpu", max_grad_norm=1e9,
    )
    tuned = emotune.finetune(base, data, emotune.LoRA(r=4), options, checkpoints=checkpoints + sampling)
    weights = {name: p.tolist() for name, p in tuned.model.named_parameters() if p.requires_grad}
    found[sampling] = {"weights": weights, "losses": [epoch.validation_loss for epoch in tuned.training.epochs]}
with open(result, "w") as file:
    json.dump(found, file)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def train(folder: Path, bert: Path, data: Path, tokens: int, processes: int) -> list[dict[str, Any]]:
    """What each process ends with."""
    checkpoints, port = folder / f"checkpoints-{processes}", free_port()
    results = [folder / f"{processes}-{number}.json" for number in range(processes)]
    started = []
    for number, result in enumerate(results):
        group = {"WORLD_SIZE": processes, "RANK": number, "LOCAL_RANK": number, "MASTER_PORT": port}
        environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
        environment |= {name: str(value) for name, value in group.items()} if processes > 1 else {}
        arguments = [str(value) for value in (bert, data, checkpoints, tokens, result)]
        started.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", SCRIPT, *arguments], env=environment, stderr=subprocess.PIPE
            )
        )
    try:
        for process in started:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors.decode()[-3000:]
    finally:
        for process in started:
            process.kill()
    return [json.loads(result.read_text()) for result in results]


@pytest.mark.slow
def test_two_processes_do_what_one_does_with_both_batches(
    tiny_bert: Path, tiny_data: TextDataset, tmp_path: Path
) -> None:
    import torch

    folder = tmp_path / "data"
    folder.mkdir()
    for split in tiny_data.splits:
        lines = [f"{text};{split.labels[label]}" for text, label in zip(split.texts, split.label_ids, strict=True)]
        if split.name == "train":  # else balanced sampling would draw what stands there
            lines = [line for number, line in enumerate(lines) if not line.endswith("joy") or number % 5 == 0]
        (folder / f"{split.name}.txt").write_text("text;label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    first, second = train(tmp_path, tiny_bert, folder, 600, 2)
    (alone,) = train(tmp_path, tiny_bert, folder, 100_000, 1)
    assert first == second
    for sampling, expected in alone.items():
        found = first[sampling]
        assert len(found["losses"]) == len(expected["losses"]) == 3
        torch.testing.assert_close(found["losses"], expected["losses"], rtol=1e-3, atol=1e-4)
        for name, weight in expected["weights"].items():
            torch.testing.assert_close(torch.tensor(found["weights"][name]), torch.tensor(weight), rtol=2e-2, atol=2e-3)
    assert alone["plain"]["losses"] != alone["balanced"]["losses"]


def test_several_processes_need_a_folder_for_checkpoints(
    tiny_base: Classifier, tiny_data: TextDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(OutputError, match="2 processes train together"):
        finetune(tiny_base, tiny_data)


def test_the_whole_job_is_for_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="under torchrun"):
        run(RunConfig())
