"""Checks before the first step for mistakes that would train without an error and score badly for no visible reason.

They run some short passes over two texts, draw no random numbers, and leave the model unchanged.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from emotune.data.dataset import TextDataset
from emotune.methods.base import Method
from emotune.models.check import (
    check_base,
    check_padding,
    logits,
    new_parameters,
    padding_difference,
    probes,
    tolerance,
)
from emotune.models.classifier import Classifier
from emotune.models.encoding import encode_split
from emotune.models.families import LAST, family_of, head_modules, pooler_modules
from emotune.system.errors import MethodError, ModelError, TrainingError
from emotune.system.text import reason_of
from emotune.training.options import TrainingOptions

if TYPE_CHECKING:
    from torch import nn


# A learning rate that is this many times larger or smaller than the method's own is most likely another method's.
FAR = 10.0


def preflight(
    base: Classifier, data: TextDataset, method: Method, options: TrainingOptions, model: nn.Module
) -> list[str]:
    """Run all checks: raise errors for certain mistakes, and return warnings for likely ones.

    Args:
        base: The base model.
        data: The data.
        method: The fine-tuning method.
        options: Options of training.
        model: The result of the method on a float32 copy of the base, before anything is stored in another precision.

    Returns:
        Warnings, one sentence each.

    Raises:
        DataError: Labels are out of range.
        MethodError: Nothing is adapted, head or pooler are frozen or trained twice, or the method cannot be applied.
        ModelError: The base is not in float32, or padding is missing or changes the logits.
        TrainingError: Head or pooler gets no gradient.
    """
    check_labels(data)
    check_dtypes(base, model)
    check_padding(base)
    check_head(base, method, model)
    check_adapted(base, method, model)
    check_passes(base, method, model)
    return [*far_learning_rate(method, options), *unread_end(base, data)]


def check_labels(data: TextDataset) -> None:
    """Check that every label id is the number of a label.

    Raises:
        DataError: One is out of range.
    """
    for split in data.splits:
        data.task.check_targets(split.name, split.label_ids, data.labels)


def check_dtypes(base: Classifier, model: nn.Module) -> None:
    """Check that the base and all trained parameters are in float32: 16 bits would lose small updates.

    Raises:
        ModelError: A parameter is in 16 bits.
    """
    import torch

    sixteen = (torch.float16, torch.bfloat16)
    trained = ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)
    for name, weight in (*base.model.named_parameters(), *trained):
        if weight.dtype in sixteen:
            raise ModelError(
                f"{name} is in {str(weight.dtype).removeprefix('torch.')}, in which training loses small updates. Load the model with "
                "load_base, which gives float32, or call base.model.float(); training.precision is only for the products."
            )


def check_head(base: Classifier, method: Method, model: nn.Module) -> None:
    """Check that every parameter of head and pooler is trained, once.

    Raises:
        MethodError: A parameter is frozen, has an adapter too, or is trained in two copies.
    """
    modules = (*pooler_modules(base.model), *head_modules(base.model))
    trained = Counter(plain_name(name) for name, weight in model.named_parameters() if weight.requires_grad)
    expected = new_parameters(base.model)
    frozen = [name for name in expected if name not in trained]
    if frozen:
        raise MethodError(
            f"{method.title} leaves {frozen[0]} frozen, {len(frozen)} of {len(expected)} parameters of head and pooler: they are new, "
            "or of another task, and have to be trained."
        )
    beside = [
        name for name in trained if name.startswith(tuple(f"{part}." for part in modules)) and name not in expected
    ]
    twice = [*beside, *(name for name in expected if trained[name] > 1)]
    if twice:
        raise MethodError(
            f"{method.title} adapts {twice[0]}, though {', '.join(modules)} are trained in full already. "
            "Leave them out of target_modules."
        )


def plain_name(name: str) -> str:
    """Return a parameter's name in the base model, without the parts added by PEFT's wrappers."""
    # Tuners wrap the model twice, prompts once. An encoder may be named "model" too, but neither pooler nor head is.
    prefix = "base_model.model." if name.startswith("base_model.model.") else "base_model."
    return name.removeprefix(prefix).replace(".modules_to_save.default", "")


def check_adapted(base: Classifier, method: Method, model: nn.Module) -> None:
    """Check that the parameters that must change exist and are trained, and include adapters if the method has any.

    Raises:
        MethodError: There are no such parameters, one is frozen, or only the head is trained.
    """
    watched = method.must_move(model)
    if not watched:
        raise MethodError(f"{method.title} trains nothing in this {base.model.config.model_type!r} model.")
    frozen = [name for name, weight in watched.items() if not weight.requires_grad]
    if frozen:
        raise MethodError(f"{method.title} should train {frozen[0]}, which is frozen.")
    new = set(new_parameters(base.model))
    wanted = method.adapted_modules(base.model)
    if wanted and all(plain_name(name) in new for name in watched):
        raise MethodError(f"{method.title} should adapt {wanted[0]}, but trains only the head: no module matched.")


def check_passes(base: Classifier, method: Method, model: nn.Module) -> None:
    """Run two texts alone and padded together, and check the gradient of head and pooler.

    Raises:
        MethodError: The model cannot be run with the method, or padding changes its logits.
        ModelError: Padding changes the logits of the base itself.
        TrainingError: Head or pooler gets no gradient.
    """
    import torch

    texts = probes(base)
    kind = base.model.config.model_type
    new = set(new_parameters(base.model))
    was_training = model.training
    model.eval()
    try:
        difference = padding_difference(model, texts)
        head = {
            name: weight
            for name, weight in model.named_parameters()
            if weight.requires_grad and plain_name(name) in new
        }
        loss = logits(model, texts, [0, 1]).square().sum()  # any loss that depends on every logit
        gradients = torch.autograd.grad(loss, list(head.values()), allow_unused=True)
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        raise MethodError(
            f"{method.title} cannot train a {kind!r} model: {reason_of(error)}. Use another method, such as lora."
        ) from error
    finally:
        model.train(was_training)
    if difference > tolerance(model):
        check_base(base)  # raises if the base is the cause
        raise MethodError(
            f"{method.title} cannot train a {kind!r} model: with it, padding changes the logits by {difference:.0%} of their size, so "
            "the head reads the wrong token. Use another method, such as lora."
        )
    still = [name for name, gradient in zip(head, gradients, strict=True) if gradient is None or not gradient.any()]
    if still:
        raise TrainingError(
            f"{plain_name(still[0])} gets no gradient, with {len(still)} of {len(head)} parameters of head and pooler: "
            "the logits do not depend on them. Use a model of a known family, such as BERT, DistilBERT, RoBERTa or GPT-2."
        )


def far_learning_rate(method: Method, options: TrainingOptions) -> list[str]:
    """Return a warning if the learning rate is not of the method's order of magnitude."""
    rate, usual = options.learning_rate, method.usual_learning_rate
    # A factor of ten is the likeliest mistake (LoRA's rate for full fine-tuning, or vice versa). So it is included, and
    # 1 % is left for rounding.
    if rate is None or 1.01 * usual / FAR < rate < 0.99 * usual * FAR:
        return []
    how = "above" if rate > usual else "below"
    return [
        f"the learning rate {rate:g} is far {how} the {usual:g} that {method.title} usually takes; "
        "leave training.learning_rate out for that"
    ]


def unread_end(base: Classifier, data: TextDataset) -> list[str]:
    """Return a warning if texts end with the padding token, and the head reads the last token that is not padding."""
    if family_of(base.model).pooling != LAST:
        return []
    encoded = encode_split(base.tokenizer, data.train, base.max_length, base.windows)
    ending = sum(bool(len(ids)) and ids[-1] == encoded.pad_id for ids in encoded.ids)
    if not ending:
        return []
    return [
        f"{ending:,} training texts end with {base.tokenizer.pad_token!r}, which is also the padding: the head reads the token before it"
    ]
