"""`finetune`: it learns, it leaves the base alone, it can be repeated, and it keeps the epoch that validation likes best."""

from __future__ import annotations

import copy
import dataclasses
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import log_loss
from transformers import TrainerCallback

from emotune.data.dataset import TextDataset
from emotune.evaluation.evaluate import evaluate
from emotune.folder.base import load_base
from emotune.folder.record import TrainingRecord
from emotune.folder.tuned import TunedClassifier
from emotune.methods.lora import LoRA
from emotune.models.classifier import Classifier
from emotune.system.errors import ConfigError, DataError, MethodError, OutputError, TrainingError
from emotune.system.progress import Advance, Silent
from emotune.training.finetune import finetune
from emotune.training.options import TrainingOptions

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


@pytest.fixture
def short(tiny_options: TrainingOptions) -> TrainingOptions:
    """Two epochs: enough where learning is not the point."""
    return tiny_options.changed(epochs=2)


@pytest.fixture(scope="module")
def contrary(tiny_data: TextDataset) -> TextDataset:
    """Data whose validation labels are those of training moved on by one: the better it learns, the worse it scores."""
    labels = (tiny_data.validation.label_ids + 1) % len(tiny_data.labels)
    return dataclasses.replace(tiny_data, validation=dataclasses.replace(tiny_data.validation, label_ids=labels))


@pytest.fixture(scope="module")
def misled(tiny_base: Classifier, contrary: TextDataset, tiny_options: TrainingOptions) -> TunedClassifier:
    """The result of training on the contrary data, without early stopping."""
    return finetune(tiny_base, contrary, options=tiny_options)


def trained_weights(classifier: Classifier) -> dict[str, torch.Tensor]:
    parts = (".lora_", ".modules_to_save.")
    return {n: p.detach() for n, p in classifier.model.named_parameters() if any(part in n for part in parts)}


def same_weights(one: Classifier, other: Classifier) -> bool:
    ours, theirs = trained_weights(one), trained_weights(other)
    assert ours.keys() == theirs.keys()
    return all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


def record_of(classifier: TunedClassifier) -> TrainingRecord:
    return classifier.training


class TestLearning:
    def test_reaches_well_above_chance(
        self, tiny_base: Classifier, tiny_tuned: TunedClassifier, tiny_data: TextDataset
    ) -> None:
        record = record_of(tiny_tuned)
        assert max(epoch.validation_macro_f1 for epoch in record.epochs) > 0.5
        assert evaluate(tiny_tuned, tiny_data.test).metrics.macro_f1 > 0.5
        assert evaluate(tiny_base, tiny_data.test).metrics.macro_f1 < 0.3
        losses = [epoch.train_loss for epoch in record.epochs]
        assert losses[-1] < 0.5 * losses[0]

    def test_the_record_says_what_happened(
        self, tiny_tuned: TunedClassifier, tiny_data: TextDataset, tiny_options: TrainingOptions
    ) -> None:
        record = record_of(tiny_tuned)
        assert tiny_options.epochs is not None
        assert [epoch.number for epoch in record.epochs] == list(range(1, tiny_options.epochs + 1))
        assert not record.stopped_early
        assert record.examples == len(tiny_data.train)
        assert (record.device, record.precision, record.precision_reason) == ("cpu", "fp32", "as asked")
        assert record.seed == 0
        assert len(record.target_modules) == 12
        parameters = {name: parameter.numel() for name, parameter in tiny_tuned.model.named_parameters()}
        trained = trained_weights(tiny_tuned)
        assert record.trainable_parameters == sum(parameters[name] for name in trained)
        whole = sum(size for name, size in parameters.items() if ".original_module." not in name)
        assert record.total_parameters == whole
        in_epochs = sum(epoch.seconds for epoch in record.epochs)
        assert 0 < in_epochs < record.seconds
        expected = len(tiny_data.train) * len(record.epochs) / in_epochs
        assert record.train_examples_per_second == pytest.approx(expected)
        assert record.peak_memory_bytes > 50_000_000

    def test_the_result_is_a_tuned_classifier_in_float32_and_evaluation_mode(
        self, tiny_base: Classifier, tiny_tuned: TunedClassifier
    ) -> None:
        assert tiny_tuned.is_tuned
        assert tiny_tuned.method == LoRA()
        assert {parameter.dtype for parameter in tiny_tuned.model.parameters()} == {torch.float32}
        assert not any(module.training for module in tiny_tuned.model.modules())
        for field in ("name", "source", "revision", "tokenizer", "labels", "max_length", "task"):
            assert getattr(tiny_tuned, field) == getattr(tiny_base, field)

    def test_callbacks_hear_of_every_epoch(
        self, tiny_base: Classifier, tiny_data: TextDataset, short: TrainingOptions
    ) -> None:
        heard: list[float] = []

        class Listener(TrainerCallback):
            def on_evaluate(self, args: Any, state: Any, control: Any, **given: Any) -> None:
                heard.append(given["metrics"]["eval_macro_f1"])

        record = record_of(finetune(tiny_base, tiny_data, options=short, callbacks=[Listener()]))
        assert heard == [epoch.validation_macro_f1 for epoch in record.epochs]

    def test_the_train_loss_is_the_mean_over_rows(
        self, tiny_bert: Path, tiny_data: TextDataset, short: TrainingOptions
    ) -> None:
        base = load_base(tiny_bert, labels=tiny_data.labels, max_length=32)
        base.model.config.hidden_dropout_prob = 0.0
        # With so small a rate the weights hardly change, and the loss is that of the base.
        options = short.changed(epochs=1, learning_rate=1e-6)
        record = record_of(finetune(base, tiny_data, options=options))
        probabilities = evaluate(base, tiny_data.train).probabilities
        expected = log_loss(tiny_data.train.label_ids, probabilities, labels=range(6))
        assert record.epochs[0].train_loss == pytest.approx(expected, rel=1e-3)

    def test_every_epoch_trains_on_every_row_in_another_order(
        self, monkeypatch: pytest.MonkeyPatch, tiny_base: Classifier, tiny_data: TextDataset, short: TrainingOptions
    ) -> None:
        from emotune.training.trainer import AdapterTrainer

        seen: list[list[int]] = []
        collate = AdapterTrainer.collate

        def watched(trainer: AdapterTrainer, rows: list[int]) -> dict[str, torch.Tensor]:
            seen.append(rows)
            return collate(trainer, rows)

        monkeypatch.setattr(AdapterTrainer, "collate", watched)
        finetune(tiny_base, tiny_data, options=short)
        half = len(seen) // 2
        epochs = [[row for batch in part for row in batch] for part in (seen[:half], seen[half:])]
        assert epochs[0] != epochs[1]
        for rows in epochs:
            assert sorted(rows) == list(range(len(tiny_data.train)))

    def test_one_step_is_training_too(self, tiny_base: Classifier, tiny_data: TextDataset) -> None:
        options = TrainingOptions(epochs=1, batch_tokens=10_000, precision="fp32", device="cpu")
        tuned = finetune(tiny_base, tiny_data, options=options)
        assert len(record_of(tuned).epochs) == 1
        changed = evaluate(tuned, tiny_data.test).logits
        before = evaluate(tiny_base, tiny_data.test).logits
        assert changed is not None
        assert before is not None
        assert np.abs(changed - before).max() > 1e-4


class TestBase:
    @pytest.mark.slow
    def test_is_left_as_it_was(self, tiny_base: Classifier, tiny_data: TextDataset, short: TrainingOptions) -> None:
        state = copy.deepcopy(tiny_base.model.state_dict())
        configuration = copy.deepcopy(tiny_base.model.config.to_dict())
        modules = [type(module) for module in tiny_base.model.modules()]
        logits = evaluate(tiny_base, tiny_data.test).logits
        finetune(tiny_base, tiny_data, options=short.changed(precision="bf16"))
        now = tiny_base.model.state_dict()
        assert now.keys() == state.keys()
        for name, tensor in state.items():
            assert now[name].dtype == tensor.dtype
            assert torch.equal(now[name], tensor), name
        assert tiny_base.model.config.to_dict() == configuration
        assert [type(module) for module in tiny_base.model.modules()] == modules
        assert all(parameter.requires_grad for parameter in tiny_base.model.parameters())
        assert not any(module.training for module in tiny_base.model.modules())
        np.testing.assert_array_equal(evaluate(tiny_base, tiny_data.test).logits, logits)

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_the_frozen_weights_of_the_result_are_the_bases_own(
        self, tiny_base: Classifier, tiny_data: TextDataset, short: TrainingOptions, precision: str
    ) -> None:
        tuned = finetune(tiny_base, tiny_data, options=short.changed(precision=precision))
        assert record_of(tuned).precision == precision
        assert {parameter.dtype for parameter in tuned.model.parameters()} == {torch.float32}
        frozen = {
            name.removeprefix("base_model.model.").replace(".base_layer.", "."): parameter
            for name, parameter in tuned.model.named_parameters()
            if name not in trained_weights(tuned) and ".original_module." not in name
        }
        base = tiny_base.model.state_dict()
        assert len(frozen) > 30
        for name, parameter in frozen.items():
            assert torch.equal(parameter, base[name]), name

    @pytest.mark.slow
    def test_two_results_of_one_base_share_nothing(
        self, tiny_base: Classifier, tiny_data: TextDataset, short: TrainingOptions
    ) -> None:
        first = finetune(tiny_base, tiny_data, options=short)
        before = evaluate(first, tiny_data.test).logits
        finetune(tiny_base, tiny_data, LoRA(r=2, target_modules=["query"]), short)
        np.testing.assert_array_equal(evaluate(first, tiny_data.test).logits, before)


class TestRepetition:
    @pytest.mark.slow
    def test_equal_seeds_give_equal_weights_whatever_was_drawn_before(
        self, tiny_base: Classifier, tiny_data: TextDataset, short: TrainingOptions
    ) -> None:
        torch.manual_seed(1)
        first = finetune(tiny_base, tiny_data, LoRA(dropout=0.1), short)
        torch.manual_seed(2)
        np.random.seed(3)
        random.seed(4)
        second = finetune(tiny_base, tiny_data, LoRA(dropout=0.1), short)
        assert same_weights(first, second)
        # Everything but the clock's part.
        epochs = [[e.changed(seconds=0.0) for e in record_of(tuned).epochs] for tuned in (first, second)]
        assert epochs[0] == epochs[1]

    @pytest.mark.slow
    def test_another_seed_gives_other_weights(
        self, tiny_base: Classifier, tiny_data: TextDataset, short: TrainingOptions
    ) -> None:
        first = finetune(tiny_base, tiny_data, options=short)
        other = finetune(tiny_base, tiny_data, options=short, seed=1)
        ours, theirs = trained_weights(first), trained_weights(other)
        assert not any(torch.equal(weight, theirs[name]) for name, weight in ours.items())

    @pytest.mark.slow
    def test_the_test_split_plays_no_part(
        self, tiny_base: Classifier, tiny_data: TextDataset, short: TrainingOptions
    ) -> None:
        other = dataclasses.replace(tiny_data, test=tiny_data.train.take(range(10), "test"))
        first, second = (finetune(tiny_base, data, options=short) for data in (tiny_data, other))
        assert same_weights(first, second)


class TestBestEpoch:
    def test_is_the_one_that_validation_likes_best(self, misled: TunedClassifier) -> None:
        losses = [epoch.validation_scaled_loss for epoch in record_of(misled).epochs]
        assert record_of(misled).best_epoch == 1 + int(np.argmin(losses)) < len(losses)

    @pytest.mark.slow
    def test_validation_judges_by_the_loss_at_the_best_temperature(
        self, misled: TunedClassifier, contrary: TextDataset
    ) -> None:
        logits = evaluate(misled, contrary.validation).logits
        assert logits is not None
        losses = [
            log_loss(contrary.validation.label_ids, softmax(logits / temperature, axis=1), labels=range(6))
            for temperature in np.geomspace(0.05, 20, 2_000)
        ]
        assert record_of(misled).best.validation_scaled_loss == pytest.approx(min(losses), rel=1e-4)

    def test_its_weights_are_kept(self, misled: TunedClassifier, contrary: TextDataset) -> None:
        record = record_of(misled)
        best, last = record.epochs[record.best_epoch - 1], record.epochs[-1]
        found = evaluate(misled, contrary.validation).metrics
        assert found.loss == pytest.approx(best.validation_loss, rel=1e-4)
        assert found.macro_f1 == pytest.approx(best.validation_macro_f1)
        assert found.accuracy == pytest.approx(best.validation_accuracy)
        assert found.loss != pytest.approx(last.validation_loss, rel=1e-2)

    @pytest.mark.parametrize(("limit", "share"), [(1e-6, 1.0), (1e6, 0.0)])
    def test_the_record_says_how_many_steps_were_clipped(
        self, tiny_base: Classifier, tiny_data: TextDataset, short: TrainingOptions, limit: float, share: float
    ) -> None:
        record = record_of(finetune(tiny_base, tiny_data, options=short.changed(max_grad_norm=limit)))
        assert record.clipped_steps == share
        assert [epoch.clipped_steps for epoch in record.epochs] == [share, share]

    @pytest.mark.slow
    def test_few_rows_get_more_epochs_where_nobody_says_how_many(
        self, tiny_base: Classifier, tiny_data: TextDataset, tiny_options: TrainingOptions
    ) -> None:
        said: list[str] = []

        class Listening(Silent):
            def say(self, line: str) -> None:
                said.append(line)

        options = tiny_options.changed(epochs=None)
        record = record_of(finetune(tiny_base, tiny_data, options=options, progress=Listening()))
        assert len(record.epochs) == 10 or record.stopped_early
        assert any("10 epochs" in line and f"{len(tiny_data.train):,} training rows" in line for line in said)

    @pytest.mark.slow
    @pytest.mark.parametrize("patience", [1, 3])
    def test_training_stops_when_validation_gets_no_better(
        self, tiny_base: Classifier, contrary: TextDataset, tiny_options: TrainingOptions, patience: int
    ) -> None:
        assert tiny_options.epochs is not None
        options = tiny_options.changed(patience=patience)
        record = record_of(finetune(tiny_base, contrary, options=options))
        assert record.stopped_early
        assert len(record.epochs) == record.best_epoch + patience < tiny_options.epochs


class TestMeaninglessTraining:
    def test_an_adapter_that_is_detached_is_found(
        self, tiny_base: Classifier, tiny_data: TextDataset, short: TrainingOptions
    ) -> None:
        class Detached(LoRA):
            def apply(self, model: PreTrainedModel, base_model_name: str) -> nn.Module:
                wrapped = super().apply(model, base_model_name)
                layer: Any = wrapped.get_submodule("base_model.model.bert.encoder.layer.1.output.dense")
                layer.enable_adapters(False)
                layer.lora_B.requires_grad_(True)  # which would be seen before training
                return wrapped

        with pytest.raises(TrainingError, match=r"have not changed.*\n?.*layer\.1\.output\.dense\.lora_B"):
            finetune(tiny_base, tiny_data, Detached(), short)

    @pytest.mark.parametrize("part", ["classifier", "pooler", "layer.0.attention.self.key"])
    def test_a_part_that_is_frozen_is_found(
        self, tiny_base: Classifier, tiny_data: TextDataset, short: TrainingOptions, part: str
    ) -> None:
        class Frozen(LoRA):
            def apply(self, model: PreTrainedModel, base_model_name: str) -> nn.Module:
                wrapped = super().apply(model, base_model_name)
                for name, parameter in wrapped.named_parameters():
                    if part in name:
                        parameter.requires_grad_(False)
                return wrapped

        with pytest.raises(MethodError, match=rf"{part}.* frozen"):
            finetune(tiny_base, tiny_data, Frozen(), short)

    @pytest.mark.parametrize("cause", ["learning rate", "weights"])
    def test_a_loss_that_is_not_a_number_is_found(
        self, tiny_bert: Path, tiny_data: TextDataset, short: TrainingOptions, cause: str
    ) -> None:
        base = load_base(tiny_bert, labels=tiny_data.labels, max_length=32)
        if cause == "weights":
            torch.nn.init.constant_(base.model.bert.encoder.layer[0].output.dense.bias, float("nan"))
        else:
            short = short.model_copy(update={"learning_rate": 1e30})  # which no checked options have
        with pytest.raises(TrainingError, match=r"became (nan|inf) at step [1-3]\. Lower training\.learning_rate"):
            finetune(base, tiny_data, options=short)


class TestUnbalancedClasses:
    @pytest.fixture
    def skewed(self, tiny_data: TextDataset) -> TextDataset:
        """Training rows with 20 of the first three labels and 5 of the others."""
        train = tiny_data.train
        kept = [row for row, label in enumerate(train.label_ids) if label < 3 or row % 24 < 6]
        texts = tuple(train.texts[row] for row in kept)
        return dataclasses.replace(
            tiny_data, train=dataclasses.replace(train, texts=texts, label_ids=train.label_ids[kept])
        )

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "given",
        [
            {"class_weights": "balanced"},
            {"class_weights": "sqrt"},
            {"logit_adjustment": 0.5},
            {"focal_gamma": 2.0},
            {"sampling": "balanced"},
        ],
    )
    def test_each_option_changes_the_weights(
        self, tiny_base: Classifier, skewed: TextDataset, tiny_options: TrainingOptions, given: dict[str, Any]
    ) -> None:
        options = tiny_options.changed(epochs=1)
        plain = finetune(tiny_base, skewed, options=options)
        assert not same_weights(finetune(tiny_base, skewed, options=options.changed(**given)), plain)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "given", [{"class_weights": "balanced"}, {"logit_adjustment": 1.0}, {"sampling": "balanced"}]
    )
    def test_rare_labels_are_predicted_more_often(
        self, tiny_base: Classifier, skewed: TextDataset, tiny_options: TrainingOptions, given: dict[str, Any]
    ) -> None:
        options = tiny_options.changed(epochs=5)
        plain = evaluate(finetune(tiny_base, skewed, options=options), skewed.test)
        balanced = evaluate(finetune(tiny_base, skewed, options=options.changed(**given)), skewed.test)
        assert plain.probabilities is not None
        assert balanced.probabilities is not None
        assert balanced.probabilities[:, 3:].mean() > plain.probabilities[:, 3:].mean() + 0.05

    @pytest.mark.slow
    def test_balanced_sampling_draws_the_same_rows_after_a_resume(
        self, tiny_base: Classifier, skewed: TextDataset, tiny_options: TrainingOptions, tmp_path: Path
    ) -> None:
        options = tiny_options.changed(epochs=3, sampling="balanced")
        whole = finetune(tiny_base, skewed, options=options)
        steps_an_epoch = _count_steps(tiny_base, skewed, options) // 3
        with pytest.raises(Interrupted):
            finetune(
                tiny_base, skewed, options=options, checkpoints=tmp_path, progress=StopAfter(2 * steps_an_epoch + 1)
            )
        resumed = finetune(tiny_base, skewed, options=options, checkpoints=tmp_path, resume=True)
        assert same_weights(resumed, whole)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"focal_gamma": -0.5}, "focal_gamma is -0.5; expected a number of at least 0"),
            ({"focal_gamma": float("nan")}, "focal_gamma is nan"),
            ({"class_weights": "inverse", "sampling": "even"}, "(?s)class_weights is 'inverse'.*sampling is 'even'"),
            ({"class_weights": "balanced", "sampling": "balanced"}, "expected one of them"),
            ({"logit_adjustment": -1.0}, "logit_adjustment is -1.0; expected a number of at least 0"),
            ({"logit_adjustment": 0.2, "sampling": "balanced"}, 'logit_adjustment is 0.2 and sampling is "balanced"'),
        ],
    )
    def test_options_that_do_not_hold_are_refused(self, given: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            TrainingOptions(**given)


class TestRefusals:
    def test_a_tuned_model(self, tiny_tuned: TunedClassifier, tiny_data: TextDataset) -> None:
        with pytest.raises(TrainingError, match="fine-tuned already"):
            finetune(tiny_tuned, tiny_data)

    def test_other_labels(self, tiny_bert: Path, tiny_data: TextDataset) -> None:
        base = load_base(tiny_bert, labels=("no", "yes"), max_length=32)
        with pytest.raises(DataError, match="labels no, yes; the data has sadness"):
            finetune(base, tiny_data)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"device": "tpu"}, "device is 'tpu'; expected one of"),
            ({"precision": "fp8"}, "precision is 'fp8'; expected one of"),
        ],
    )
    def test_a_device_or_precision_that_is_not_there(
        self, tiny_base: Classifier, tiny_data: TextDataset, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            finetune(tiny_base, tiny_data, options=TrainingOptions(**options))

    def test_a_target_that_matches_nothing(self, tiny_base: Classifier, tiny_data: TextDataset) -> None:
        with pytest.raises(MethodError, match=r"'v_proj'.*value"):
            finetune(tiny_base, tiny_data, LoRA(target_modules=["v_proj"]))

    def test_resuming_from_nowhere(self, tiny_base: Classifier, tiny_data: TextDataset, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="needs the checkpoints folder"):
            finetune(tiny_base, tiny_data, resume=True)
        for folder in (tmp_path, tmp_path / "missing"):
            with pytest.raises(OutputError, match="no checkpoint to resume from"):
                finetune(tiny_base, tiny_data, checkpoints=folder, resume=True)


class Interrupted(Exception):
    """Stands for whatever ends a run: a key press, a power cut, a full disk."""


class StopAfter(Silent):
    """Interrupts training after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Advance]:
        def advance(units: int) -> None:
            if description == "training":
                self.left -= units
                if self.left <= 0:
                    raise Interrupted

        yield advance


class TestResume:
    @pytest.mark.slow
    @pytest.mark.parametrize("steps_into_the_third_epoch", [1, 5])
    def test_gives_the_weights_of_a_run_without_interruption(
        self,
        tiny_base: Classifier,
        tiny_data: TextDataset,
        tiny_options: TrainingOptions,
        tmp_path: Path,
        steps_into_the_third_epoch: int,
    ) -> None:
        options = tiny_options.changed(epochs=4)
        method = LoRA(dropout=0.1)  # draws random numbers at every step
        whole = finetune(tiny_base, tiny_data, method, options)
        steps_an_epoch = _count_steps(tiny_base, tiny_data, options) // 4
        checkpoints = tmp_path / "checkpoints"
        with pytest.raises(Interrupted):
            finetune(
                tiny_base,
                tiny_data,
                method,
                options,
                checkpoints=checkpoints,
                progress=StopAfter(2 * steps_an_epoch + steps_into_the_third_epoch),
            )
        assert any(checkpoints.iterdir())
        torch.manual_seed(99)  # another process would have other random states
        np.random.seed(99)
        random.seed(99)
        resumed = finetune(tiny_base, tiny_data, method, options, checkpoints=checkpoints, resume=True)
        assert same_weights(resumed, whole)
        first, second = record_of(whole), record_of(resumed)
        assert second.best_epoch == first.best_epoch
        for ours, theirs in zip(second.epochs, first.epochs, strict=True):
            assert ours.changed(seconds=0.0) == theirs.changed(seconds=0.0)
        assert any(checkpoints.glob("checkpoint-*"))  # theirs who gave the folder

    @pytest.mark.slow
    def test_goes_on_counting_the_epochs_without_gain(
        self, tiny_base: Classifier, contrary: TextDataset, tiny_options: TrainingOptions, tmp_path: Path
    ) -> None:
        options = tiny_options.changed(epochs=8, patience=2)
        whole = record_of(finetune(tiny_base, contrary, options=options))
        assert whole.stopped_early
        steps_an_epoch = _count_steps(tiny_base, contrary, options) // 8
        before_the_last = (len(whole.epochs) - 1) * steps_an_epoch + 1
        with pytest.raises(Interrupted):
            finetune(tiny_base, contrary, options=options, checkpoints=tmp_path, progress=StopAfter(before_the_last))
        resumed = record_of(finetune(tiny_base, contrary, options=options, checkpoints=tmp_path, resume=True))
        assert [epoch.number for epoch in resumed.epochs] == [epoch.number for epoch in whole.epochs]
        assert resumed.best_epoch == whole.best_epoch

    @pytest.mark.slow
    def test_checkpoints_hold_no_copy_of_the_base(
        self, tiny_base: Classifier, tiny_data: TextDataset, short: TrainingOptions, tmp_path: Path
    ) -> None:
        from safetensors import safe_open

        steps_an_epoch = _count_steps(tiny_base, tiny_data, short) // 2
        with pytest.raises(Interrupted):
            finetune(tiny_base, tiny_data, options=short, checkpoints=tmp_path, progress=StopAfter(steps_an_epoch + 1))
        (weights,) = tmp_path.glob("checkpoint-*/*.safetensors")
        with safe_open(weights, framework="pt") as file:
            saved = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
        trained = trained_weights(finetune(tiny_base, tiny_data, options=short))
        assert saved == sum(weight.numel() for weight in trained.values())


def _count_steps(base: Classifier, data: TextDataset, options: TrainingOptions) -> int:
    class Counting(Silent):
        steps = 0

        @contextmanager
        def bar(self, description: str, total: int) -> Iterator[Advance]:
            if description == "training":
                self.steps = total
                raise Interrupted
            yield lambda units: None

    progress = Counting()
    with pytest.raises(Interrupted):
        finetune(base, data, options=options, progress=progress)
    return progress.steps
