"""Pairs of texts against plain transformers: ids, types of tokens and logits, for every family, padded and packed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from emotune.folder.base import load_base
from emotune.inference.features import layer_features
from emotune.inference.forward import compute_logits
from emotune.models.classifier import Classifier
from emotune.models.encoding import Encoded, encode
from emotune.system.pairs import TextPair, sides_of

from ..tiny_models import CONFIGS, make_folder

if TYPE_CHECKING:
    from transformers import BertTokenizer

LIMIT = 20
PAIRS = (
    TextPair("badi bedo", "defo"),
    TextPair("defo pave difu bofa", "luvu"),
    TextPair("luvu", "badi badi badi bedo defo pave"),
    TextPair("badi " * 12, "bedo " * 14),  # both sides are cut
    TextPair("badi " * 25, "bedo"),  # only the first is
    TextPair("badi bedo", "defo"),
)
TYPED = ("albert", "bert", "electra")


@pytest.fixture(params=CONFIGS)
def classifier(request: pytest.FixtureRequest, tiny_tokenizer: BertTokenizer, tmp_path: Path) -> Classifier:
    folder = make_folder(request.param, tmp_path / request.param, tiny_tokenizer)
    return load_base(folder, labels=("a", "b", "c"), max_length=LIMIT)


def plain(classifier: Classifier, pairs: tuple[str, ...]) -> list[dict[str, Any]]:
    """What plain transformers makes of each pair alone."""
    typed = classifier.model.config.model_type in TYPED
    return [
        dict(
            classifier.tokenizer(
                *(side[0] for side in sides_of([pair]) if side),
                truncation="longest_first",
                max_length=LIMIT,
                return_tensors="pt",
                return_token_type_ids=typed,
            )
        )
        for pair in pairs
    ]


def test_ids_and_types_are_the_tokenizers_own(classifier: Classifier) -> None:
    encoded = encode(classifier.tokenizer, PAIRS, LIMIT)
    expected = plain(classifier, PAIRS)
    assert [ids.tolist() for ids in encoded.ids] == [one["input_ids"][0].tolist() for one in expected]
    assert encoded.cut_rows == {3, 4}
    if classifier.model.config.model_type in TYPED:
        assert encoded.types is not None
        assert [types.tolist() for types in encoded.types] == [one["token_type_ids"][0].tolist() for one in expected]
        assert all(set(types.tolist()) == {0, 1} for types in encoded.types)
    else:
        assert encoded.types is None


@pytest.mark.parametrize("fast", [True, False])
def test_logits_are_those_of_plain_transformers_alone_and_in_batches(classifier: Classifier, fast: bool) -> None:
    encoded = encode(classifier.tokenizer, PAIRS, LIMIT)
    with torch.no_grad():
        expected = torch.cat([classifier.model(**one).logits for one in plain(classifier, PAIRS)]).numpy()
    for tokens in (1, 30, 2048):  # alone, in twos and threes, and all at once
        found = compute_logits(classifier.model, encoded, max_tokens=tokens, fast=fast)
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_types_make_a_difference_where_a_model_has_them(classifier: Classifier) -> None:
    encoded = encode(classifier.tokenizer, PAIRS, LIMIT)
    if encoded.types is None:
        return
    without = Encoded(encoded.ids, encoded.lengths, 0, encoded.pad_id)
    assert np.abs(compute_logits(classifier.model, encoded) - compute_logits(classifier.model, without)).max() > 1e-4


def test_a_pair_is_not_its_texts_joined(classifier: Classifier) -> None:
    if classifier.model.config.model_type == "gpt2":  # whose tokenizer puts nothing between the texts
        return
    joined = encode(classifier.tokenizer, ["badi bedo defo"], LIMIT).ids[0].tolist()
    assert encode(classifier.tokenizer, PAIRS[:1], LIMIT).ids[0].tolist() != joined


@pytest.mark.parametrize("fast", [True, False])
def test_features_use_the_types(classifier: Classifier, fast: bool) -> None:
    found = layer_features(classifier, PAIRS, fast=fast)
    with torch.no_grad():
        for row, one in enumerate(plain(classifier, PAIRS)):
            last = classifier.model.base_model(**one).last_hidden_state[0].mean(0)
            np.testing.assert_allclose(found[-1, row], last.numpy(), atol=2e-6)


def test_some_pairs_among_single_texts_are_refused(tiny_tokenizer: BertTokenizer) -> None:
    with pytest.raises(TypeError, match="some of the texts are pairs"):
        encode(tiny_tokenizer, [PAIRS[0], "badi"], LIMIT)


def test_single_texts_are_encoded_as_before(tiny_tokenizer: BertTokenizer) -> None:
    encoded = encode(tiny_tokenizer, ["badi bedo", "badi " * 30], LIMIT)
    assert encoded.types is None
    assert set(encoded.packed([0])) == {"input_ids", "lengths"}


def test_packed_types_follow_the_rows(tiny_tokenizer: BertTokenizer) -> None:
    encoded = encode(tiny_tokenizer, PAIRS, LIMIT)
    assert encoded.types is not None
    batch = encoded.packed([2, 0])
    expected = np.concatenate([encoded.types[2], encoded.types[0]])
    assert batch["token_type_ids"].tolist() == expected.tolist()
    padded = encoded.batch([2, 0])["token_type_ids"]
    assert padded[1, : encoded.lengths[0]].tolist() == encoded.types[0].tolist()
    assert not padded[1, encoded.lengths[0] :].any()
