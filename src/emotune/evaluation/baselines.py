"""What something simpler would have scored: the majority class, and logistic regression on the frozen encoder's features."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split, TextDataset
from emotune.evaluation.scores import Evaluation, score
from emotune.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch

    from emotune.models.classifier import Classifier

# Inverse regularization strengths to choose from: frozen features are many and correlated, so strong regularization is in reach.
STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def majority_class(train: Split, split: Split) -> Evaluation:
    """Score the prediction of the commonest training label for every row, with the training frequencies as probabilities.

    Args:
        train: The training rows.
        split: The rows to score.
    """
    started = time.perf_counter()
    frequencies = np.bincount(train.label_ids, minlength=len(train.labels)) / len(train)
    probabilities = np.tile(frequencies, (len(split), 1))
    predictions = np.full(len(split), int(frequencies.argmax()), dtype=np.int64)
    return Evaluation(
        name="majority class",
        split=split,
        probabilities=probabilities,
        logits=None,
        predictions=predictions,
        metrics=score(split, predictions, probabilities),
        seconds=time.perf_counter() - started,
        note=f"Always says '{train.labels[int(frequencies.argmax())]}', the commonest training label.",
    )


def frozen_features(
    base: Classifier, data: TextDataset, *, dtype: torch.dtype | None = None, progress: Progress = SILENT
) -> Evaluation:
    """Score logistic regression on the frozen encoder's features: what the base model knows before tuning.

    Features are the mean of the last hidden states over a text's tokens, standardized. The strength of the regularization is
    chosen by macro-F1 on validation; the test split is scored once.

    Args:
        base: The base model; its head plays no part.
        data: The data.
        dtype: The dtype of the encoder's matrix products, or None for float32.
        progress: Shows a bar.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    started = time.perf_counter()
    features = {split.name: mean_features(base, split, dtype=dtype, progress=progress) for split in data.splits}
    candidates = [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000)) for strength in STRENGTHS
    ]
    scores = []
    for candidate in candidates:
        candidate.fit(features["train"], data.train.label_ids)
        guesses = candidate.predict(features["validation"])
        scores.append(f1_score(data.validation.label_ids, guesses, average="macro", zero_division=0.0))
    best = int(np.argmax(scores))
    # Every label stands in training, so the columns of predict_proba are the label ids in order.
    probabilities = np.asarray(candidates[best].predict_proba(features["test"]), dtype=np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # float32 features give float32 sums
    predictions = probabilities.argmax(axis=1)
    return Evaluation(
        name="frozen features",
        split=data.test,
        probabilities=probabilities,
        logits=None,
        predictions=predictions,
        metrics=score(data.test, predictions, probabilities),
        seconds=time.perf_counter() - started,
        note=f"Logistic regression (C={STRENGTHS[best]:g}, chosen on validation) on the frozen encoder: what it knows before tuning.",
    )


def mean_features(
    base: Classifier, split: Split, *, dtype: torch.dtype | None = None, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """The mean of the encoder's last hidden states over each text's tokens, special tokens included.

    Args:
        base: The model whose encoder is run, in evaluation mode.
        split: The rows.
        dtype: The dtype of matrix products, or None for float32.
        progress: Shows a bar.

    Returns:
        Shape (rows, hidden size).
    """
    import torch

    from emotune.engine.encoder import Encoder
    from emotune.engine.install import embed
    from emotune.engine.layers import why_not
    from emotune.engine.layout import Layout
    from emotune.inference.batching import batches_by_length, encode_split
    from emotune.inference.forward import MAX_TOKENS
    from emotune.memory import keep_freed_memory

    keep_freed_memory()
    encoder = base.model.base_model.eval()
    device = next(encoder.parameters()).device
    encoded = encode_split(base.tokenizer, split, base.max_length)
    features = np.empty((len(split), base.model.config.hidden_size), dtype=np.float32)
    fast = None
    if why_not(base.model, encoder) is None:
        weights_own = next(encoder.parameters()).dtype
        fast = Encoder(encoder, base.model.config, dtype or weights_own, first_only=False)
    with torch.inference_mode(), progress.bar(f"features of {split.name}", len(split)) as advance:
        for rows in batches_by_length(encoded.lengths, MAX_TOKENS):
            if fast is not None:
                batch = encoded.packed(rows)
                layout = Layout.of(batch["lengths"], device)
                hidden = fast(embed(encoder, batch["input_ids"].to(device), layout), layout, training=False).float()
                sums = torch.zeros(len(rows), hidden.shape[1], device=device).index_add_(0, layout.text, hidden)
                features[rows] = (sums / layout.lengths[:, None]).cpu().numpy()
            else:
                batch = {name: tensor.to(device) for name, tensor in encoded.batch(rows).items()}
                with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
                    hidden = encoder(**batch).last_hidden_state.float()
                mask = batch["attention_mask"].unsqueeze(-1).float()
                features[rows] = ((hidden * mask).sum(1) / mask.sum(1)).cpu().numpy()
            advance(len(rows))
    return features
