"""Windows over long texts against plain transformers: each window by itself, pooled by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from emotune.folder.base import load_base
from emotune.inference.features import layer_features
from emotune.inference.forward import compute_logits
from emotune.inference.predictor import Predictor
from emotune.models.classifier import Classifier
from emotune.models.encoding import WINDOWS, encode, pooled
from emotune.system.errors import DataError
from emotune.system.pairs import TextPair
from emotune.training.finetune import finetune
from emotune.training.trainer import split_batch

from ..tiny_models import CONFIGS, make_folder

if TYPE_CHECKING:
    from transformers import BertTokenizer

    from emotune.data.dataset import TextDataset

LIMIT = 16
# Of 4, 16, 17, 62 and 2 tokens.
TEXTS = ("badi bedo", "badi " * 14, "bedo " * 15, "badi bedo defo luvu " * 15, "")


@pytest.fixture(params=CONFIGS)
def classifier(request: pytest.FixtureRequest, tiny_tokenizer: BertTokenizer, tmp_path: Path) -> Classifier:
    folder = make_folder(request.param, tmp_path / request.param, tiny_tokenizer)
    return load_base(folder, labels=("a", "b", "c"), max_length=LIMIT)


def windows_by_hand(classifier: Classifier, text: str) -> list[list[int]]:
    """The windows of a text, cut from its ids without special tokens."""
    tokenizer: Any = classifier.tokenizer
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    room = LIMIT - tokenizer.num_special_tokens_to_add()
    step = room - room // 4
    starts = [start for start in range(0, max(1, len(ids)), step) if start == 0 or start + room - step < len(ids)]
    special = tokenizer.num_special_tokens_to_add() > 0
    return [
        [tokenizer.cls_token_id, *ids[start : start + room], tokenizer.sep_token_id]
        if special
        else ids[start : start + room]
        for start in starts
    ]


def logits_by_hand(classifier: Classifier, text: str) -> np.ndarray[Any, Any]:
    total, weights = torch.zeros(3), 0
    with torch.no_grad():
        for ids in windows_by_hand(classifier, text):
            total += len(ids) * classifier.model(input_ids=torch.tensor([ids])).logits[0]
            weights += len(ids)
    return (total / weights).numpy()


def texts_for(classifier: Classifier) -> tuple[str, ...]:
    return TEXTS[: 4 if classifier.model.config.model_type == "gpt2" else 5]  # where the empty text has no token


def test_windows_are_those_of_the_ids(classifier: Classifier) -> None:
    texts = texts_for(classifier)
    encoded = encode(classifier.tokenizer, texts, LIMIT, windows=True)
    assert encoded.windows is not None
    assert len(encoded) == len(texts)
    assert (encoded.truncated, encoded.cut_rows) == (0, frozenset())
    for row, text in enumerate(texts):
        expected = windows_by_hand(classifier, text)
        assert encoded.ids[row].tolist() == [token for ids in expected for token in ids]
        assert encoded.windows[row].tolist() == [len(ids) for ids in expected]


@pytest.mark.parametrize("fast", [True, False])
def test_logits_are_the_mean_of_the_windows_by_tokens(classifier: Classifier, fast: bool) -> None:
    texts = texts_for(classifier)
    encoded = encode(classifier.tokenizer, texts, LIMIT, windows=True)
    expected = np.stack([logits_by_hand(classifier, text) for text in texts])
    for tokens in (1, 40, 2048):
        found = compute_logits(classifier.model, encoded, max_tokens=tokens, fast=fast)
        np.testing.assert_allclose(found, expected, atol=3e-6)


@pytest.mark.parametrize("fast", [True, False])
def test_texts_of_one_window_have_exactly_the_logits_they_had(classifier: Classifier, fast: bool) -> None:
    short = encode(classifier.tokenizer, TEXTS[:2], LIMIT)
    windows = encode(classifier.tokenizer, TEXTS[:2], LIMIT, windows=True)
    one, other = (compute_logits(classifier.model, found, fast=fast) for found in (short, windows))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("fast", [True, False])
def test_features_are_means_over_all_windows(classifier: Classifier, fast: bool) -> None:
    read = dataclasses.replace(classifier, windows=True)
    found = layer_features(read, TEXTS[:4], fast=fast)[-1]
    with torch.no_grad():
        for row, text in enumerate(TEXTS[:4]):
            states = [
                classifier.model.base_model(input_ids=torch.tensor([ids])).last_hidden_state[0]
                for ids in windows_by_hand(classifier, text)
            ]
            np.testing.assert_allclose(found[row], torch.cat(states).mean(0).numpy(), atol=3e-6)


def test_a_predictor_reads_windows_and_cuts_nothing(tiny_base: Classifier) -> None:
    texts = ["badi bedo defo luvu " * 20, "badi"]
    whole = dataclasses.replace(tiny_base, max_length=LIMIT, windows=True)
    cut = dataclasses.replace(tiny_base, max_length=LIMIT)
    read, first = Predictor(whole, precision="fp32"), Predictor(cut, precision="fp32")
    assert (read.predict(texts).truncated, first.predict(texts).truncated) == (0, 1)
    # Batches of other sizes are summed in another order.
    np.testing.assert_allclose(read.logits(texts)[1], first.logits(texts)[1], atol=2e-6)
    assert not np.allclose(read.logits(texts)[0], first.logits(texts)[0])


@pytest.mark.parametrize("packed", [True, False])
def test_a_batch_is_split_between_texts(tiny_base: Classifier, packed: bool) -> None:
    encoded = encode(tiny_base.tokenizer, TEXTS, LIMIT, windows=True)
    rows = [3, 0, 2, 1]
    cut = encoded.packed if packed else encoded.batch
    parts = split_batch({**cut(rows), "labels": torch.arange(4)}, 3)
    assert torch.cat([part["labels"] for part in parts]).tolist() == [0, 1, 2, 3]
    place = 0
    for part in parts:
        own = rows[place : place + len(part["labels"])]
        place += len(own)
        expected = cut(own)
        assert [windows.tolist() for windows in part[WINDOWS]] == [windows.tolist() for windows in expected[WINDOWS]]
        if packed:
            assert part["input_ids"].tolist() == expected["input_ids"].tolist()
            assert part["lengths"].tolist() == expected["lengths"].tolist()
        else:
            width = expected["input_ids"].shape[1]
            assert torch.equal(part["input_ids"][:, :width], expected["input_ids"])


def test_pooling_passes_gradients_by_tokens() -> None:
    logits = torch.zeros(3, 2, requires_grad=True)
    pooled(logits, [np.array([6, 2]), np.array([5])])[:, 0].sum().backward()
    assert logits.grad is not None
    assert logits.grad[:, 0].tolist() == [0.75, 0.25, 1.0]
    assert pooled(logits, None) is logits


def test_parts_keep_their_windows(tiny_base: Classifier) -> None:
    encoded = encode(tiny_base.tokenizer, TEXTS, LIMIT, windows=True).take([3, 0])
    assert encoded.windows is not None
    assert [len(windows) for windows in encoded.windows] == [6, 1]


def test_long_pairs_are_refused(tiny_base: Classifier) -> None:
    short = TextPair("badi", "bedo")
    assert len(encode(tiny_base.tokenizer, [short], LIMIT, windows=True)) == 1
    with pytest.raises(DataError, match="1 pairs of texts are longer than 16 tokens, and windows are for single texts"):
        encode(tiny_base.tokenizer, [short, TextPair("badi " * 30, "bedo")], LIMIT, windows=True)


def test_windows_over_pairs_are_refused_before_training(
    tiny_base: Classifier, tiny_bert: Path, tiny_data: TextDataset
) -> None:
    short = TextPair("badi", "bedo")
    said = r"rows are pairs of texts, and windows are for single texts.*--max-length"
    with pytest.raises(DataError, match=said):
        load_base(tiny_bert, labels=tiny_data.labels, long_texts="windows", texts=[short])
    rows = dataclasses.replace(tiny_data.train, texts=(short,) * len(tiny_data.train))
    with pytest.raises(DataError, match=said):
        finetune(dataclasses.replace(tiny_base, windows=True), dataclasses.replace(tiny_data, train=rows))
