"""The classification head of a checkpoint: found by its weights, kept if its labels are the wanted ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emotune.models.families import head_modules, pooler_modules
from emotune.models.options import HeadRule
from emotune.system.wording import counted, listed
from emotune.tasks.base import trained_for

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

# Transformers' names of labels without a name.
_NAMELESS = re.compile(r"label[ _-]?\d+", re.IGNORECASE)
# Classes of other tasks whose heads have the same names as a text classifier's. Only these are refused, since a
# configuration may still name the class of the language model that a classifier was made from.
_OTHER_TASKS = ("ForTokenClassification", "ForMultipleChoice", "ForQuestionAnswering", "ForNextSentencePrediction")


@dataclass(frozen=True)
class CheckpointHead:
    """A head that was found in a checkpoint's weights.

    Attributes:
        labels: Its label names in the order of its logits; empty if the configuration does not name one per logit.
        kept: True if the classifier starts with it, with its logits in the order of the wanted labels.
        reason: The reason why it was kept, or left out and a new one made.
        fits: True if it has as many logits as wanted labels, so that plain transformers loads it without an error.
    """

    labels: tuple[str, ...]
    kept: bool
    reason: str
    fits: bool

    def __str__(self) -> str:
        whose = f" for the labels {listed(self.labels)}" if self.labels else ""
        return (
            f"the checkpoint's head{whose} is {'kept' if self.kept else 'left out and a new one made'}: {self.reason}"
        )


def read_head(
    model: PreTrainedModel,
    wider: Callable[[], PreTrainedModel],
    stored: Mapping[str, Tensor],
    config: Mapping[str, Any],
    labels: Sequence[str],
    rule: HeadRule,
) -> tuple[CheckpointHead | None, dict[str, Tensor]]:
    """Find the head among a checkpoint's weights, and decide whether to start with it.

    Args:
        model: The classifier to fill, with a head for `labels`; only shapes are read.
        wider: Function that returns the same model with one label more, to find the tensors with one row per label.
        stored: The checkpoint's tensors by name.
        config: The checkpoint's config.json.
        labels: The wanted labels.
        rule: When to keep it.

    Returns:
        The head, or None if the checkpoint has none; and the tensors to start with, rows in the order of `labels`,
        empty if the head is not kept.
    """
    if not any(name.startswith(_prefixes(model)) for name in stored):
        return None, {}
    own, with_rows = _head_tensors(model, wider)
    rows = _rows(own, with_rows, stored)
    kind = str(next(iter(config.get("architectures") or ()), ""))
    if rows is None or kind.endswith(_OTHER_TASKS):
        expected = type(model).__name__
        another = f"{kind} has another head than" if kind.endswith(_OTHER_TASKS) else "its weights do not fit"
        fits = all(name not in stored or tuple(stored[name].shape) == shape for name, shape in own.items())
        return CheckpointHead((), False, f"{another} {expected}", fits), {}
    poolers = tuple(f"{module}." for module in pooler_modules(model))
    names = names_in(config, rows)
    fits = len(labels) == rows
    order = list(range(len(labels))) if rule is HeadRule.OWN and fits else label_order(names, labels)
    if trained_for(config) == "regression":
        return CheckpointHead(names, False, "it was trained for regression, not for classes", fits), {}
    if order is None:
        return CheckpointHead(names, False, _why_not(names, rows, labels), fits), {}
    if any(name.startswith(poolers) and name not in stored for name, _ in model.named_parameters()):
        return CheckpointHead(names, False, "the checkpoint lacks the pooler that it was trained on", fits), {}
    if rule is HeadRule.NEW:
        return CheckpointHead(names, False, "a new one was asked for", fits), {}
    reason = "its labels are those of the data"
    if trained_for(config) == "multi_label_classification":
        reason += "; it was trained for several labels per text, and of them the likeliest is taken"
    weights = {name: stored[name][order] if name in with_rows else stored[name].clone() for name in own}
    return CheckpointHead(names, True, reason, fits), weights


def head_size(model: PreTrainedModel, wider: Callable[[], PreTrainedModel], stored: Mapping[str, Tensor]) -> int | None:
    """Return the number of labels of the head among an adapter's tensors, or None if it holds no complete head.

    Args:
        model: A classifier of the adapter's architecture; only shapes are read.
        wider: As for `read_head`.
        stored: The adapter's tensors, whose names may begin with those of modules around the classifier.
    """
    own, with_rows = _head_tensors(model, wider)
    found = {name: tensor for name in own for key, tensor in stored.items() if f".{key}".endswith(f".{name}")}
    return _rows(own, with_rows, found)


def _prefixes(model: PreTrainedModel) -> tuple[str, ...]:
    return tuple(f"{module}." for module in head_modules(model))


def _head_tensors(
    model: PreTrainedModel, wider: Callable[[], PreTrainedModel]
) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """Return the shapes of the head's tensors by name, and the names of those with one row per label."""
    own = {name: tuple(found.shape) for name, found in model.named_parameters() if name.startswith(_prefixes(model))}
    more = {name: tuple(found.shape) for name, found in wider().named_parameters() if name in own}
    return own, [name for name, shape in own.items() if shape != more[name]]


def _rows(own: Mapping[str, tuple[int, ...]], with_rows: Sequence[str], stored: Mapping[str, Tensor]) -> int | None:
    """Return the number of labels of a stored head, or None if it is not this head."""
    alike = all(
        name in stored and _one_label(stored[name].shape, name in with_rows) == _one_label(shape, name in with_rows)
        for name, shape in own.items()
    )
    rows = {int(stored[name].shape[0]) for name in with_rows} if alike else set()
    return rows.pop() if len(rows) == 1 else None


def _one_label(shape: Sequence[int], has_rows: bool) -> tuple[int, ...]:
    """Return the shape of a tensor's part for one label, if it has one row per label; else its whole shape."""
    return tuple(shape[1:] if has_rows else shape)


def label_order(names: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """Return the place of each wanted label among a head's labels, or None if they are not the same labels.

    Case, Unicode's compatibility forms, and spaces, hyphens and underscores between words make no difference, unless
    two labels then have the same name. Default names of transformers, such as LABEL_0, match nothing.
    """
    if nameless(names):
        return None
    for form in (str, _plain):
        places = {form(name): place for place, name in enumerate(names)}
        asked = [form(label) for label in wanted]
        if len(places) == len(names) == len(wanted) == len(set(asked)) and places.keys() == set(asked):
            return [places[label] for label in asked]
    return None


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", unicodedata.normalize("NFKC", name).casefold())).strip()


def nameless(names: Sequence[str]) -> bool:
    """Return whether label names are only transformers' own, such as LABEL_0."""
    return all(_NAMELESS.fullmatch(name) for name in names)


def names_in(config: Mapping[str, Any], rows: int) -> tuple[str, ...]:
    """Return the names in a configuration in the order of the logits; none if it does not name each of them."""
    named = config.get("id2label")
    if not isinstance(named, Mapping) or {str(key) for key in named} != {str(number) for number in range(rows)}:
        return ()
    by_number = {str(key): str(name) for key, name in named.items()}
    return tuple(by_number[str(number)] for number in range(rows))


def _why_not(names: Sequence[str], rows: int, labels: Sequence[str]) -> str:
    if rows != len(labels):
        return f"it has {counted(rows, 'label')}, the data {len(labels):,}"
    if nameless(names):
        return (
            f"the configuration names none of its {counted(rows, 'label')}, so they cannot be matched with the data's. "
            "To keep it, name them in id2label of a copy's config.json"
        )
    return f"the labels of the data are {listed(labels)}"
