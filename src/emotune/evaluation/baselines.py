"""What something simpler would have scored: the majority class, words and pairs of words, and the frozen encoder's features."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split, TextDataset
from emotune.evaluation.scores import Evaluation, score
from emotune.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch

    from emotune.models.classifier import Classifier

# Inverse regularization strengths to choose from: frozen features are many and correlated, so strong regularization is in reach;
# weighted words want little of it.
STRENGTHS = (0.001, 0.01, 0.1, 1.0)
WORD_STRENGTHS = (3.0, 30.0)


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
        parameters=len(train.labels),
        note=f"Always says '{train.labels[int(frequencies.argmax())]}', the commonest training label.",
    )


def bag_of_words(data: TextDataset) -> Evaluation:
    """Score logistic regression on TF-IDF weights of words and pairs of neighbouring words: what needs no BERT at all.

    The strength of the regularization is chosen by macro-F1 on validation; the test split is scored once.

    Args:
        data: The data.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    started = time.perf_counter()
    # Any run of characters between spaces counts where no text has a word of letters or digits.
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\w+|[^\w\s]+", dtype=np.float32
    )
    features = {
        "train": vectorizer.fit_transform(data.train.texts),
        "validation": vectorizer.transform(data.validation.texts),
        "test": vectorizer.transform(data.test.texts),
    }
    candidates = [LogisticRegression(C=strength, max_iter=300, tol=1e-3) for strength in WORD_STRENGTHS]
    best, probabilities = _choose_and_predict(candidates, features, data)
    return _evaluation(
        "TF-IDF",
        data,
        probabilities,
        time.perf_counter() - started,
        parameters=int(candidates[best].coef_.size + candidates[best].intercept_.size),
        note=f"Logistic regression (C={WORD_STRENGTHS[best]:g}, chosen on validation) on words and pairs of words: no BERT at all.",
    )


def _choose_and_predict(
    candidates: Sequence[Any], features: Mapping[str, Any], data: TextDataset
) -> tuple[int, NDArray[np.float64]]:
    """Fit candidates on training features; which is best on validation, and its probabilities of the test rows."""
    from sklearn.metrics import f1_score

    scores = []
    for candidate in candidates:
        candidate.fit(features["train"], data.train.label_ids)
        guesses = candidate.predict(features["validation"])
        scores.append(f1_score(data.validation.label_ids, guesses, average="macro", zero_division=0.0))
    best = int(np.argmax(scores))
    # Every label stands in training, so the columns of predict_proba are the label ids in order.
    probabilities = np.asarray(candidates[best].predict_proba(features["test"]), dtype=np.float64)
    return best, probabilities / probabilities.sum(axis=1, keepdims=True)  # float32 features give float32 sums


def _evaluation(
    name: str, data: TextDataset, probabilities: NDArray[np.float64], seconds: float, *, parameters: int, note: str
) -> Evaluation:
    predictions = probabilities.argmax(axis=1)
    return Evaluation(
        name=name,
        split=data.test,
        probabilities=probabilities,
        logits=None,
        predictions=predictions,
        metrics=score(data.test, predictions, probabilities),
        seconds=seconds,
        note=note,
        parameters=parameters,
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
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    started = time.perf_counter()
    features = {split.name: mean_features(base, split, dtype=dtype, progress=progress) for split in data.splits}
    candidates = [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000)) for strength in STRENGTHS
    ]
    best, probabilities = _choose_and_predict(candidates, features, data)
    encoder = sum(parameter.numel() for parameter in base.model.base_model.parameters())
    return _evaluation(
        "frozen features",
        data,
        probabilities,
        time.perf_counter() - started,
        parameters=encoder + (features["train"].shape[1] + 1) * len(data.labels),
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
