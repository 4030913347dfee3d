"""The Trainer subclass: every row weighs the same, the loss is torch's, and a batch that does not fit is halved."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from transformers import TrainingArguments

from emotune.engine.install import install
from emotune.folder.base import load_base
from emotune.methods.lora import LoRA
from emotune.models.encoding import encode_split
from emotune.system.errors import TrainingError
from emotune.system.progress import SILENT, Silent
from emotune.training.callbacks import ProgressBar
from emotune.training.options import TrainingOptions
from emotune.training.trainer import AdapterTrainer

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset

MakeTrainer = Callable[..., AdapterTrainer]


@pytest.fixture
def make_trainer(tiny_bert: Path, tiny_data: TextDataset, tmp_path: Path) -> MakeTrainer:
    """A trainer of a fresh model without dropout, on texts of very unlike lengths, so that batches differ in rows."""

    def make(*, packed: bool = False, loss: dict[str, Any] | None = None, **arguments: Any) -> AdapterTrainer:
        base = load_base(tiny_bert, labels=tiny_data.labels, max_length=64)
        model = LoRA(r=4).apply(base.model, base.name).eval()
        for name, parameter in model.named_parameters():  # with B at zero, A has no gradient
            if ".lora_B." in name:
                nn.init.normal_(parameter, std=0.1)
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        base.model.config.hidden_dropout_prob = 0.0
        if packed:
            assert install(model, torch.float32) is None
        texts = tuple(" ".join([text] * (row % 7 + 1)) for row, text in enumerate(tiny_data.train.texts))
        label_ids = tiny_data.train.label_ids
        if loss:  # unbalanced: some rows of a label get the next but one
            label_ids = np.where((label_ids == 0) & (np.arange(len(label_ids)) % 5 > 0), 2, label_ids)
        train = dataclasses.replace(tiny_data.train, texts=texts, label_ids=label_ids)
        return AdapterTrainer(
            method=LoRA(r=4),
            model=model,
            args=TrainingArguments(
                output_dir=str(tmp_path / "out"), use_cpu=True, report_to="none", disable_tqdm=True, **arguments
            ),
            data=dataclasses.replace(tiny_data, train=train),
            encoded=encode_split(base.tokenizer, train, 64),
            encoded_validation=encode_split(base.tokenizer, tiny_data.validation, 64),
            options=TrainingOptions(batch_tokens=200, **(loss or {})),
            packed=packed,
            clock=ProgressBar(SILENT),
            callbacks=[],
        )

    return make


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            found[name] = parameter.grad.clone()
            parameter.grad = None
    return found


class TestLoss:
    def test_every_row_weighs_the_same_however_many_share_its_batch(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer()
        batches = list(trainer.get_train_dataloader())
        sizes = {len(batch["labels"]) for batch in batches}
        assert max(sizes) > 2 * min(sizes)
        for batch in batches:
            trainer.compute_loss(trainer.model, batch).backward()
        by_batches = gradients(trainer.model)

        whole = trainer.collate(list(range(len(trainer.encoded))))
        labels = whole.pop("labels")
        nn.functional.cross_entropy(trainer.model(**whole).logits, labels).backward()
        at_once = gradients(trainer.model)
        for name, gradient in at_once.items():
            mean = by_batches[name] / len(batches)
            torch.testing.assert_close(mean, gradient, rtol=1e-3, atol=1e-6, msg=name)

    def test_counts_the_steps_whose_gradient_is_clipped(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer(max_grad_norm=1e9)
        norms = []
        for batch in trainer.get_train_dataloader():
            trainer.compute_loss(trainer.model, batch).backward()
            found = gradients(trainer.model)
            norms.append(float(torch.cat([gradient.flatten() for gradient in found.values()]).norm()))
        limit = float(np.median(norms)) * 1.01
        longer = sum(norm > limit for norm in norms)
        assert 0 < longer < len(norms)

        trainer = make_trainer(max_grad_norm=limit)
        for batch in trainer.get_train_dataloader():
            trainer.compute_loss(trainer.model, batch).backward()
            trainer._clip_grad_norm(trainer.model)
            gradients(trainer.model)
        assert int(trainer.clipped_steps) == longer

    @pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
    def test_is_torchs_cross_entropy_with_its_label_smoothing(
        self, make_trainer: MakeTrainer, smoothing: float
    ) -> None:
        trainer = make_trainer(loss={"label_smoothing": smoothing} if smoothing else None)
        batch = trainer.collate([3, 1, 4, 15])
        found, outputs = trainer.compute_loss(trainer.model, batch, return_outputs=True)
        share = 4 / (len(trainer.encoded) / len(trainer.batches))
        mean = nn.CrossEntropyLoss(label_smoothing=smoothing)(outputs.logits, batch["labels"])
        torch.testing.assert_close(found, mean * share)
        # And by its definition: the true label gets 1 - s, and s is spread over all labels.
        log = outputs.logits.log_softmax(-1)
        targets = torch.full_like(log, smoothing / 6)
        targets[range(4), batch["labels"]] += 1 - smoothing
        torch.testing.assert_close(mean, -(targets * log).sum(-1).mean())

    @pytest.mark.parametrize("kind", ["balanced", "sqrt"])
    def test_every_row_weighs_as_much_as_its_class(self, make_trainer: MakeTrainer, kind: str) -> None:
        trainer = make_trainer(loss={"class_weights": kind})
        batches = list(trainer.get_train_dataloader())
        losses = []
        for batch in batches:
            loss = trainer.compute_loss(trainer.model, batch)
            loss.backward()
            losses.append(loss.item())
        by_batches = gradients(trainer.model)

        labels = trainer.targets.numpy()
        weights = compute_class_weight("balanced", classes=np.arange(6), y=labels)
        if kind == "sqrt":
            weights = np.sqrt(weights) / np.sqrt(weights)[labels].mean()
        whole = trainer.collate(list(range(len(trainer.encoded))))
        target = whole.pop("labels")
        # torch divides by the sum of the rows' weights, which is the number of rows.
        expected = nn.functional.cross_entropy(trainer.model(**whole).logits, target, torch.tensor(weights).float())
        expected.backward()
        assert np.mean(losses) == pytest.approx(expected.item(), rel=1e-5)
        for name, gradient in gradients(trainer.model).items():
            torch.testing.assert_close(by_batches[name] / len(batches), gradient, rtol=1e-3, atol=1e-6, msg=name)

    def test_logits_are_adjusted_by_the_shares_of_the_classes(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer(loss={"logit_adjustment": 0.5})
        batch = trainer.collate([3, 1, 4, 15])
        found, outputs = trainer.compute_loss(trainer.model, batch, return_outputs=True)
        shares = torch.bincount(trainer.targets, minlength=6) / len(trainer.targets)
        expected = nn.functional.cross_entropy(outputs.logits + 0.5 * shares.log(), batch["labels"], reduction="sum")
        torch.testing.assert_close(found, expected / trainer.batches.mean_rows)

    def test_is_the_focal_loss_with_all_that_was_asked_for(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer(loss={"focal_gamma": 2.0, "class_weights": "balanced", "label_smoothing": 0.1})
        batch = trainer.collate([3, 1, 4, 15])
        found, outputs = trainer.compute_loss(trainer.model, batch, return_outputs=True)
        weights = compute_class_weight("balanced", classes=np.arange(6), y=trainer.targets.numpy())
        targets = torch.full((4, 6), 0.1 / 6)
        targets[range(4), batch["labels"]] += 0.9
        p = outputs.logits.softmax(-1)
        expected = -(targets * torch.tensor(weights).float() * (1 - p) ** 2 * p.log()).sum()
        torch.testing.assert_close(found, expected / trainer.batches.mean_rows)

    def test_of_balanced_sampling_is_the_mean_over_the_rows_drawn(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer(loss={"sampling": "balanced"})
        loader = trainer.get_train_dataloader()
        for epoch in (0, 1):
            loader.set_epoch(epoch)  # type: ignore[attr-defined]
            batches = list(loader)
            assert len(batches) == len(loader)
            counts = torch.bincount(torch.cat([batch["labels"] for batch in batches]))
            assert counts.tolist() == [20] * 6
            with torch.no_grad():
                losses = [trainer.compute_loss(trainer.model, batch, return_outputs=True) for batch in batches]
            rows = torch.cat(
                [
                    nn.functional.cross_entropy(outputs.logits, batch["labels"], reduction="none")
                    for (_, outputs), batch in zip(losses, batches, strict=True)
                ]
            )
            mean = torch.stack([loss for loss, _ in losses]).mean()
            torch.testing.assert_close(mean, rows.mean())


class TestBatches:
    def test_rows_come_with_their_own_labels(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer()
        rows = [7, 0, 100]
        batch = trainer.collate(rows)
        assert batch["labels"].tolist() == trainer.targets[rows].tolist()
        for place, row in enumerate(rows):
            length = trainer.encoded.lengths[row]
            assert batch["input_ids"][place, :length].tolist() == trainer.encoded.ids[row].tolist()
            assert int(batch["attention_mask"][place].sum()) == length

    def test_an_epoch_of_the_loader_has_every_row_once(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer()
        labels = torch.cat([batch["labels"] for batch in trainer.get_train_dataloader()])
        assert torch.bincount(labels).tolist() == np.bincount(trainer.targets.numpy()).tolist()


class Heard(Silent):
    """Keeps the lines that were said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


class TestOutOfMemory:
    @pytest.mark.slow
    @pytest.mark.parametrize("packed", [False, True])
    def test_halves_the_batch_and_gives_the_same_gradients(
        self, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, packed: bool
    ) -> None:
        def penalty(self: LoRA, model: nn.Module) -> torch.Tensor:
            return torch.stack([p.square().sum() for n, p in model.named_parameters() if ".lora_B." in n]).sum()

        monkeypatch.setattr(LoRA, "penalty", penalty)  # once a step, not once a part
        trainer = make_trainer(packed=packed)
        trainer.clock.progress = heard = Heard()
        trainer.current_gradient_accumulation_steps = 1  # set by the loop, which does not run here
        batches = [batch for batch in trainer.get_train_dataloader() if len(batch["labels"]) >= 6]
        expected = []
        for batch in batches:
            loss = trainer.training_step(trainer.model, batch)
            expected.append((loss, gradients(trainer.model)))
        assert heard.lines == []

        plain = AdapterTrainer.compute_loss
        sizes = []

        def small_memory(self: AdapterTrainer, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            sizes.append(len(inputs["labels"]))
            if sizes[-1] > 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore lines.")
            return plain(self, model, inputs, *args, **kwargs)

        monkeypatch.setattr(AdapterTrainer, "compute_loss", small_memory)
        for batch, (loss, wanted) in zip(batches, expected, strict=True):
            found = trainer.training_step(trainer.model, batch)
            torch.testing.assert_close(found, loss, rtol=1e-5, atol=1e-6)
            for name, gradient in gradients(trainer.model).items():
                torch.testing.assert_close(gradient, wanted[name], rtol=1e-3, atol=1e-6)
        assert heard.lines == trainer.warnings != []
        assert all("out of memory (CUDA out of memory. Tried to allocate 2.00 GiB.)" in line for line in heard.lines)
        assert max(sizes[-len(batches) :]) <= 2  # those after it are halved from the start

    @pytest.mark.parametrize("packed", [False, True])
    def test_a_single_text_that_does_not_fit_is_an_error(
        self, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, packed: bool
    ) -> None:
        def no_memory(*_: Any, **__: Any) -> Any:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")

        trainer = make_trainer(packed=packed)
        monkeypatch.setattr(AdapterTrainer, "compute_loss", no_memory)
        with pytest.raises(
            TrainingError, match=r"A single text of a batch does not fit the memory .*Lower model\.max_length"
        ):
            trainer.training_step(trainer.model, next(iter(trainer.get_train_dataloader())))

    def test_several_processes_cannot_halve_alone(
        self, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_memory(*_: Any, **__: Any) -> Any:
            raise torch.OutOfMemoryError("CUDA out of memory.")

        trainer = make_trainer()
        monkeypatch.setattr(AdapterTrainer, "compute_loss", no_memory)
        monkeypatch.setattr(TrainingArguments, "world_size", 2)
        with pytest.raises(TrainingError, match=r"memory of process 0 .*Lower training\.batch_tokens"):
            trainer.training_step(trainer.model, next(iter(trainer.get_train_dataloader())))

    def test_another_error_passes(self, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: Any, **__: Any) -> Any:
            raise RuntimeError("shapes differ")

        trainer = make_trainer()
        monkeypatch.setattr(AdapterTrainer, "compute_loss", broken)
        with pytest.raises(RuntimeError, match="shapes differ"):
            trainer.training_step(trainer.model, next(iter(trainer.get_train_dataloader())))


class TestWarmUp:
    @pytest.mark.parametrize(("steps", "warmup"), [(1, 0.06), (2, 0.06), (10, 0.3), (10, 0.0), (100, 0.06)])
    def test_rises_and_falls_linearly_and_every_step_counts(
        self, make_trainer: MakeTrainer, steps: int, warmup: float
    ) -> None:
        trainer = make_trainer(learning_rate=0.5, warmup_steps=warmup)
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
        schedule = trainer.create_scheduler(steps, optimizer)
        rates: list[float] = []
        for _ in range(steps):
            rates.append(float(schedule.get_last_lr()[0]))
            optimizer.step()
            schedule.step()
        peak = int(np.argmax(rates))
        assert min(rates) > 0
        assert max(rates) <= 0.5
        assert abs(peak - warmup * steps) <= 1
        for part in (rates[: peak + 1], rates[peak + 1 :]):
            np.testing.assert_allclose(np.diff(part, n=2), 0, atol=1e-12)
        assert rates[peak:] == sorted(rates[peak:], reverse=True)
