"""The training loss: cross-entropy with options for unbalanced classes. Pure functions of tensors and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


def class_weights(kind: str, counts: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return the class weights in the loss. Their mean over the training rows is 1, so the rate needs no change.

    "balanced" is n / (k count), as in scikit-learn's `compute_class_weight`: every class has the same total weight.
    "sqrt" is its square root times a constant: half the way, on a logarithmic scale.

    Args:
        kind: "none", "balanced" or "sqrt".
        counts: Shape (classes,), training rows per class.

    Returns:
        Shape (classes,), or None for "none". A class without training rows has the weight 1, and is not counted in k.
    """
    if kind == "none":
        return None
    present = counts > 0
    weights = np.ones(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    if kind == "sqrt":
        weights[present] **= 0.5
        weights[present] *= counts.sum() / (weights @ counts)
    return weights


def logit_offsets(strength: float, counts: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return the offsets of the logits in training: strength times the logarithm of each class's share of the rows.

    A model trained with them favours rare classes without them (Menon et al., 2021, arXiv 2007.07314, equation 10).

    Args:
        strength: Their tau; at 1 the model without offsets aims at the mean recall over classes.
        counts: Shape (classes,), training rows per class; a class without rows counts as one with one row.

    Returns:
        Shape (classes,), or None for a strength of 0.
    """
    return strength * np.log(np.maximum(counts, 1) / counts.sum()) if strength else None


def summed_sigmoid_loss(
    logits: torch.Tensor, targets: torch.Tensor, *, positives: torch.Tensor | None = None, gamma: float = 0.0
) -> torch.Tensor:
    """Return the loss of several labels per row, summed over rows and averaged over labels.

    For each row and label it is - w (1 - p)^gamma log p, where p is the probability of the right decision, and w is 1
    without the label. With gamma = 0 it is PyTorch's binary cross-entropy with `pos_weight`, and computed as such; else
    the focal loss (Lin et al., 2017, arXiv 1708.02002, equation 5).

    Args:
        logits: Shape (rows, labels), float32.
        targets: Shape (rows, labels), 0 and 1.
        positives: Shape (labels,), w of the rows with the label; None for 1.
        gamma: Exponent that reduces the weight of confident right decisions.

    Returns:
        A scalar.
    """
    from torch.nn import functional

    truth = targets.to(logits.dtype)
    reduction = "sum" if gamma == 0 else "none"
    loss = functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=positives, reduction=reduction)
    if gamma:
        # 1 - p, as a sigmoid: it is never exactly 0, where a power below 1 has no finite slope.
        wrong = (logits * (1 - 2 * truth)).clamp(min=-80).sigmoid()
        loss = (wrong**gamma * loss).sum()
    return loss / logits.shape[1]


def summed_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    weights: torch.Tensor | None = None,
    offsets: torch.Tensor | None = None,
    smoothing: float = 0.0,
    gamma: float = 0.0,
) -> torch.Tensor:
    """Return the loss, summed over rows: for each row, the sum over classes c of - q_c w_c (1 - p_c)^gamma log p_c.

    p are the probabilities of the logits with the offsets added, w the class weights, and q the targets: 1 - s + s / k
    for the row's label and s / k for the k - 1 others. With gamma = 0 it is PyTorch's cross-entropy with weights and
    label smoothing, and computed as such. With s = 0 it is the weighted focal loss (Lin et al., 2017, arXiv 1708.02002,
    equation 5).

    Args:
        logits: Shape (rows, classes), float32.
        labels: Shape (rows,), int64.
        weights: Shape (classes,), or None for 1.
        offsets: Shape (classes,), or None for 0.
        smoothing: s, with 0 <= s < 1.
        gamma: Exponent that reduces the weight of rows with a confident right prediction.

    Returns:
        A scalar.
    """
    import torch
    from torch.nn import functional

    if offsets is not None:
        logits = logits + offsets
    if gamma == 0:
        return functional.cross_entropy(logits, labels, weight=weights, reduction="sum", label_smoothing=smoothing)
    log_p = logits.log_softmax(-1)
    targets = torch.full_like(log_p, smoothing / logits.shape[1])
    targets.scatter_(1, labels[:, None], 1 - smoothing + smoothing / logits.shape[1])
    if weights is not None:
        targets = targets * weights
    # A power below 1 has no finite slope at 0, where p rounds to 1: there the factor is constant.
    rest = (-log_p.expm1()).clamp(min=torch.finfo(log_p.dtype).tiny)
    return -(targets * rest**gamma * log_p).sum()
