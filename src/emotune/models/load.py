"""Load a base model: check its folder, and give its encoder a head for the labels, the checkpoint's own or a new one.

Weights are read only from safetensors, and code that comes with a model is never run.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.models.classifier import Classifier
from emotune.models.drawing import set_seeds
from emotune.models.encoding import keep_types_of
from emotune.models.families import encoder, family_of, head_modules, pooler_modules, position_limit
from emotune.models.finding import FoundModel, find_model
from emotune.models.folder import CONFIG, check_folder, weight_files
from emotune.models.heads import CheckpointHead, head_size, read_head
from emotune.models.limits import fitting_limit
from emotune.models.options import HeadRule
from emotune.models.tokenizer import read_tokenizer
from emotune.system.errors import ModelError
from emotune.system.memory import bound_product_cache
from emotune.system.outside import translated
from emotune.system.text import reason_of
from emotune.system.wording import listed
from emotune.tasks.base import Task
from emotune.tasks.single_label import SINGLE_LABEL

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

# Tokenizers without a limit have a number far above any.
_NO_LIMIT = 10**6
_USUAL_LIMIT = 512


class OpenBase:
    """Base model whose files are read once, for any number of classifiers on one copy of its weights.

    The classifiers' encoders have separate modules and parameters, which share memory. So their weights must not be
    changed in place, as training them or PEFT's `merge_adapter` would.

    Attributes:
        made_from: As for `Classifier`.
        is_merged: True if its weights are not those of its files.

    Args:
        name: As for `load_base`.
        revision: As for `load_base`.
        weights: Tensors by name to use instead of those of the files; only configuration and tokenizer are then read.
        made_from: As for `Classifier`.

    Raises:
        ModelError: There is no such model, or its files are incomplete.
        HubError: The Hub could not be reached, or refused the model.
    """

    def __init__(
        self,
        name: str | Path,
        revision: str | None = None,
        *,
        weights: Mapping[str, Tensor] | None = None,
        made_from: str = "",
    ) -> None:
        bound_product_cache()
        self._base = find_model(name, revision)
        self._stored = check_folder(self._base.folder, self._base.source, weights=weights is None)
        self._weights: dict[str, Tensor] = dict(weights or {})
        self.made_from = made_from
        self.is_merged = weights is not None

    def classifier(
        self,
        labels: Sequence[str],
        *,
        max_length: int | None,
        head: HeadRule = HeadRule.MATCHING,
        task: Task = SINGLE_LABEL,
        texts: Sequence[str] = (),
    ) -> Classifier:
        """Return a classifier with its own head, its own tokenizer, and its own pooler if the files have none.

        Args:
            labels: As for `load_base`.
            max_length: As for `load_base`.
            texts: Training texts to choose the limit by, if none is given.
            head: When to keep the checkpoint's head.
            task: As for `load_base`.

        Raises:
            ModelError: As for `load_base`, or `head` asks for a head that the checkpoint lacks.
        """
        check_labels(labels, task)
        base = self._base
        config = _load_config(base, self._stored, labels, task)
        tokenizer = _load_tokenizer(base)
        model, found, new = self._load_model(config, labels, head)
        if max_length is None:
            max_length = fitting_limit(tokenizer, model, texts)
        _fit_tokenizer(base, model, tokenizer, max_length)
        model.config.architectures = [type(model).__name__]  # not the checkpoint's class, such as a language model
        # The folder is valid only on this machine: saved files must hold the name instead.
        model.name_or_path = model.config.name_or_path = tokenizer.name_or_path = base.name
        return Classifier(
            name=base.name,
            source=base.source,
            revision=base.revision,
            model=model,
            tokenizer=tokenizer,
            labels=tuple(labels),
            max_length=max_length,
            task=task,
            checkpoint_head=found,
            made_from=self.made_from,
            new_parameters=new,
        )

    @property
    def name(self) -> str:
        """Its name in results."""
        return self._base.name

    @property
    def config(self) -> Mapping[str, Any]:
        """Content of its config.json."""
        return self._stored

    def text_limit(self, tokenizer: PreTrainedTokenizerBase | None = None) -> tuple[int, str]:
        """Return the most tokens per text that both tokenizer and model take, and whose limit that is, in words.

        Args:
            tokenizer: The tokenizer, if it is not the model's own.
        """
        model = self._shell(2)
        limits = {
            "its tokenizer's limit": (tokenizer or _load_tokenizer(self._base)).model_max_length,
            "the number of its positions": position_limit(model),
        }
        known = {reason: limit for reason, limit in limits.items() if limit is not None and limit < _NO_LIMIT}
        if not known:
            return _USUAL_LIMIT, "neither tokenizer nor model has a limit"
        reason = min(known, key=lambda name: known[name])
        return known[reason], reason

    def head_size_of(self, adapter: Mapping[str, Tensor]) -> int | None:
        """Return the number of labels of the head in an adapter for this model; None if it holds none."""
        return head_size(self._shell(2), lambda: self._shell(3), adapter)

    def _shell(self, labels: int) -> PreTrainedModel:
        config = _load_config(self._base, self._stored, [str(number) for number in range(labels)], SINGLE_LABEL)
        return _without_weights(self._base, config)

    def _load_model(
        self, config: PreTrainedConfig, labels: Sequence[str], rule: HeadRule
    ) -> tuple[PreTrainedModel, CheckpointHead | None, tuple[str, ...]]:
        """Build the encoder on the stored weights and make the head. Refuse an encoder with any random weights."""
        import torch

        base = self._base
        shell = _without_weights(base, config)
        head = head_modules(shell)

        def wider() -> PreTrainedModel:
            changed = copy.deepcopy(config)
            changed.num_labels = len(labels) + 1
            return _without_weights(base, changed)

        self._read_weights()
        found, kept = read_head(shell, wider, self._weights, self._stored, labels, rule)
        if rule in (HeadRule.REQUIRED, HeadRule.OWN) and (found is None or not found.kept):
            raise self._no_head(found, labels, rule)
        # Read without transformers, which would take over any head of the right size.
        weights = {
            key: tensor
            for key, tensor in self._weights.items()
            if not key.startswith(tuple(f"{module}." for module in head))
        }
        set_seeds(0)
        with _quiet(), translated(self._not_loaded):
            model, report = type(shell).from_pretrained(
                None,
                config=config,
                state_dict=weights | kept,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,  # reported below, with the sizes
                output_loading_info=True,
            )
        _check_encoder(base, model, report, head)
        model.eval()
        drawn = {*report["missing_keys"], *(key[0] for key in report["mismatched_keys"])}
        return model, found, tuple(name for name, _ in model.named_parameters() if name in drawn)

    def _no_head(self, found: CheckpointHead | None, labels: Sequence[str], rule: HeadRule) -> ModelError:
        """Return the error for a checkpoint whose head cannot be kept."""
        name = self._base.source
        if rule is HeadRule.OWN:
            reason = "it has none" if found is None else found.reason
            return ModelError(f"'{name}' has no classification head to predict with: {reason}. Fine-tune it first.")
        if found is None:
            return ModelError(
                f"'{name}' has no classification head, so there is none to keep. Leave keep_head out (--keep-head)."
            )
        own = f"Its labels: {listed(found.labels)}. " if found.labels else ""
        return ModelError(
            f"The head of '{name}' cannot be kept: {found.reason}.\n{own}The data's labels: {listed(labels)}.\n"
            "Leave keep_head out (--keep-head) to start with a new head, or rename the data's labels."
        )

    def _read_weights(self) -> None:
        """Read the files' tensors, once. Models use them without a copy."""
        from safetensors.torch import load_file

        if self._weights:
            return
        # Cast to float32 now: a later cast would make copies, and models would no longer share memory.
        with translated(self._not_loaded):
            self._weights = {
                key: tensor.float() if tensor.is_floating_point() else tensor
                for file in weight_files(self._base.folder, self._base.source)
                for key, tensor in load_file(file).items()
            }

    def _not_loaded(self, reason: str) -> ModelError:
        return ModelError(f"'{self._base.source}': its weights cannot be loaded: {reason}.")


def check_labels(labels: Sequence[str], task: Task) -> None:
    """Check label names.

    Raises:
        ModelError: They are one string, or not valid for the task.
    """
    if isinstance(labels, str):
        raise ModelError(f"labels is the string {labels!r}; expected a list of names, such as data.labels.")
    task.config(labels)


def untrained_model(folder: Path) -> PreTrainedModel:
    """Return a sequence classifier of the configuration in a folder, with random weights.

    Raises:
        ModelError: The configuration is not valid.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"'{folder}': {CONFIG} does not hold a valid configuration: {reason_of(error)}") from None
    return model.float().eval()


def load_tokenizer(
    name: str | Path = "bert-base-uncased", *, max_length: int | None = None, revision: str | None = None
) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a base model, without fetching its weights.

    Args:
        name: As in `load_base`.
        max_length: Tokens per text, special tokens included; the model must have that many positions. None for any
            number that it takes.
        revision: As in `load_base`.

    Returns:
        The tokenizer; its `name_or_path` is the model's name in results.

    Raises:
        ModelError: There is no such model, its files are incomplete or damaged, or it does not take texts of that
            length.
        HubError: The Hub could not be reached, or refused the model.
    """
    base = find_model(name, revision, weights=False)
    stored = check_folder(base.folder, base.source, weights=False)
    config = _load_config(base, stored, ("0", "1"), SINGLE_LABEL)
    tokenizer = _load_tokenizer(base)
    model = _without_weights(base, config)
    _fit_tokenizer(base, model, tokenizer, fitting_limit(tokenizer, model) if max_length is None else max_length)
    tokenizer.name_or_path = base.name
    return tokenizer


def _load_config(base: FoundModel, stored: dict[str, Any], labels: Sequence[str], task: Task) -> PreTrainedConfig:
    """Load the configuration with the new labels, after checking that the architecture can classify texts."""
    import transformers
    from transformers import CONFIG_MAPPING, AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

    kind = stored.get("model_type")
    if kind not in CONFIG_MAPPING:
        reason = (
            "it brings its own code, which emotune never runs"
            if "auto_map" in stored
            else f"transformers {transformers.__version__} does not know it"
        )
        raise ModelError(f"'{base.source}' has the model type {kind!r} in its {CONFIG}, and {reason}.")
    if kind not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES:
        raise ModelError(
            f"'{base.source}' is of the type '{kind}', for which transformers has no text classifier. "
            "Use an encoder such as BERT, DistilBERT, RoBERTa or GPT-2."
        )
    entries = task.config(labels)
    with translated(
        lambda reason: ModelError(f"'{base.source}': {CONFIG} does not hold a valid configuration: {reason}.")
    ):
        config: PreTrainedConfig = AutoConfig.from_pretrained(base.folder, trust_remote_code=False, **entries)
    return config


def _load_tokenizer(base: FoundModel) -> PreTrainedTokenizerBase:
    """Load the tokenizer from the model's folder."""
    with _quiet():
        return read_tokenizer(base.folder, base.source)


def _without_weights(base: FoundModel, config: PreTrainedConfig) -> PreTrainedModel:
    """Return the model's modules without weights."""
    import torch
    from transformers import AutoModelForSequenceClassification

    with (
        translated(lambda reason: ModelError(f"'{base.source}': no model can be built from its {CONFIG}: {reason}")),
        _quiet(),
        torch.device("meta"),
    ):
        return AutoModelForSequenceClassification.from_config(config)


def _check_encoder(base: FoundModel, model: PreTrainedModel, report: dict[str, Any], head: tuple[str, ...]) -> None:
    """Check that the checkpoint filled the whole encoder, and that the encoder used the whole checkpoint.

    A pooler may be missing (many checkpoints are saved without one); like the head, it is then new.
    """
    from torch import nn

    new = tuple(f"{module}." for module in (*head, *pooler_modules(model)))
    remedy = f"{CONFIG} and the weights belong to different models, or are damaged. Download or copy the model again."

    mismatched = sorted(key for key in report["mismatched_keys"] if not key[0].startswith(new))
    if mismatched:
        key, found, expected = mismatched[0]
        raise ModelError(
            f"'{base.source}': {len(mismatched)} weights do not fit {CONFIG}; for example, {key} has the shape "
            f"{tuple(found)}, expected {tuple(expected)}.\n{remedy}"
        )
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(new))
    if missing:
        raise ModelError(
            f"'{base.source}' lacks {len(missing)} of the encoder's weights, for example {missing[0]}; random numbers "
            f"would stand in for them.\n{remedy}"
        )
    stacks = [f"{name}." for name, module in encoder(model).named_modules() if isinstance(module, nn.ModuleList)]
    surplus = sorted(
        key
        for key in report["unexpected_keys"]
        if key.removeprefix(f"{model.base_model_prefix}.").startswith(tuple(stacks))
    )
    if surplus:
        raise ModelError(
            f"'{base.source}' has {len(surplus)} weights of layers that {CONFIG} does not mention, for example "
            f"{surplus[0]}.\n{remedy}"
        )


def _fit_tokenizer(
    base: FoundModel, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> None:
    """Make model and tokenizer agree on padding, and check that they agree on vocabulary and length."""
    if tokenizer.pad_token_id is None:
        # GPT-2 and related models were trained without padding. The end-of-text token can pad: the model reads the last
        # token that is not padding, and padding on the right leaves the positions of the text unchanged.
        if tokenizer.eos_token_id is None:
            raise ModelError(f"'{base.source}': its tokenizer has neither a padding nor an end-of-text token.")
        tokenizer.pad_token = tokenizer.eos_token
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    # Padding on the left would shift absolute positions of the text; a saved tokenizer must not do it either.
    tokenizer.padding_side = family_of(model).padding_side
    keep_types_of(model, tokenizer)

    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise ModelError(
            f"'{base.source}': its tokenizer has {len(tokenizer):,} tokens, its model embeddings for {rows:,}. "
            "They belong to different models; use the tokenizer's files that came with the model."
        )
    least = tokenizer.num_special_tokens_to_add() + 1
    most = position_limit(model)
    if max_length < least or (most is not None and max_length > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ModelError(
            f"The maximum length of {max_length} tokens does not fit '{base.source}', which takes {bounds}."
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers' progress bars and load reports in a block, and restore its settings."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    showed_bars = logging.is_progress_bar_enabled()
    hub_showed_bars = not are_progress_bars_disabled()  # transformers switches the Hub library's bars with its own
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if showed_bars:
            logging.enable_progress_bar()
            if not hub_showed_bars:
                disable_progress_bars()
