"""Predictions for texts in memory, and what is not a text."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from emotune.inference import predictor as module
from emotune.inference.predict import predict, predict_stream
from emotune.system.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emotune.data.dataset import TextDataset
    from emotune.models.classifier import Classifier


def test_is_what_the_plain_model_says(tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
    texts = tiny_data.test.texts
    found = predict(tiny_tuned, texts, precision="fp32")
    with torch.no_grad():
        logits = tiny_tuned.model(**tiny_tuned.tokenizer(list(texts), padding=True, return_tensors="pt")).logits
    np.testing.assert_allclose(found.probabilities, logits.softmax(-1).numpy(), rtol=1e-4, atol=1e-6)
    assert found.labels == tuple(tiny_data.labels[i] for i in logits.argmax(-1))
    assert found.label_names == tiny_data.labels
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)


def test_bf16_is_close(tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
    texts = tiny_data.test.texts
    exact, low = predict(tiny_tuned, texts, precision="fp32"), predict(tiny_tuned, texts, precision="bf16")
    assert not np.array_equal(low.probabilities, exact.probabilities)
    np.testing.assert_allclose(low.probabilities, exact.probabilities, atol=0.06)


def test_does_not_depend_on_the_texts_beside_it(tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
    text = tiny_data.test.texts[0]
    alone = predict(tiny_tuned, [text], precision="fp32")
    among = predict(tiny_tuned, ["badi " * 25, text, *tiny_data.test.texts], precision="fp32")
    np.testing.assert_allclose(among.probabilities[1], alone.probabilities[0], rtol=1e-4, atol=1e-6)


def test_counts_the_texts_that_were_cut(tiny_tuned: Classifier) -> None:
    assert predict(tiny_tuned, ["badi " * 30, "badi " * 31, "badi"]).truncated == 1


def test_takes_any_sequence_of_strings(tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
    texts = list(tiny_data.test.texts[:3])
    expected = predict(tiny_tuned, texts).labels
    assert predict(tiny_tuned, tuple(texts)).labels == expected
    column: Any = np.array(texts)  # as a table's column would be
    assert predict(tiny_tuned, column).labels == expected


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("one text", r"one string.*\[text\]"),
        ([], "no text"),
        (["fine", ""], "Text 2 is blank"),
        (["fine", "fine", " \t\n\u00a0"], "Text 3 is blank"),
        (["fine", "\u200b\ufeff"], "Text 2 is blank"),
        (["fine", None], "Text 2 is NoneType"),
        ([3.5], "Text 1 is float"),
        (["fine", b"bytes"], "Text 2 is bytes"),
    ],
)
def test_what_is_not_a_text_is_refused(tiny_tuned: Classifier, texts: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        predict(tiny_tuned, texts)


class TestWhatHoldsTextsAndIsNoListOfThem:
    """A table gives the names of its columns, one by one, and each of them would get a label."""

    @staticmethod
    def _refusal(classifier: Classifier, texts: Any) -> str:
        with pytest.raises(DataError) as caught:
            predict(classifier, texts)
        with pytest.raises(DataError) as streamed:
            next(predict_stream(classifier, texts))
        assert str(streamed.value) == str(caught.value).replace("predict ", "predict_stream ", 1)
        return str(caught.value)

    def test_tables(self, tiny_tuned: Classifier) -> None:
        import datasets
        import pandas

        rows = {"text": ["miko", "badi"], "label": ["joy", "fear"]}
        for table in (rows, pandas.DataFrame(rows), datasets.Dataset.from_dict(rows)):
            assert 'df["text"]' in self._refusal(tiny_tuned, table)
        assert len(predict(tiny_tuned, pandas.DataFrame(rows)["text"]).labels) == 2

    def test_splits_and_data_sets(self, tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
        for data in (tiny_data, tiny_data.test):
            assert "data.test.texts" in self._refusal(tiny_tuned, data)

    @pytest.mark.parametrize("texts", [None, 5])
    def test_what_cannot_be_read_one_by_one(self, tiny_tuned: Classifier, texts: Any) -> None:
        assert type(texts).__name__ in self._refusal(tiny_tuned, texts)


def test_calibrated_probabilities_are_those_of_scaled_logits(tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
    texts = tiny_data.test.texts
    scaled = dataclasses.replace(tiny_tuned, temperature=2.0)
    found = predict(scaled, texts, precision="fp32", calibrated=True)
    with torch.no_grad():
        logits = tiny_tuned.model(**tiny_tuned.tokenizer(list(texts), padding=True, return_tensors="pt")).logits
    np.testing.assert_allclose(found.probabilities, (logits / 2).softmax(-1).numpy(), rtol=1e-4, atol=1e-6)
    plain = predict(scaled, texts, precision="fp32")
    assert found.labels == plain.labels
    np.testing.assert_allclose(plain.probabilities, logits.softmax(-1).numpy(), rtol=1e-4, atol=1e-6)
    with pytest.raises(ConfigError, match="no temperature"):
        predict(tiny_tuned, texts, calibrated=True)


class TestStream:
    @pytest.fixture(autouse=True)
    def _small_chunks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "CHUNK", 7)

    def test_gives_what_predict_gives(self, tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
        texts = [*tiny_data.test.texts, "badi " * 31]
        whole = predict(tiny_tuned, texts, precision="fp32")
        chunks = list(predict_stream(tiny_tuned, iter(texts), precision="fp32"))
        assert [len(chunk.texts) for chunk in chunks[:-1]] == [7] * (len(chunks) - 1)
        assert [text for chunk in chunks for text in chunk.texts] == texts
        assert tuple(label for chunk in chunks for label in chunk.labels) == whole.labels
        probabilities = np.concatenate([chunk.probabilities for chunk in chunks])
        np.testing.assert_allclose(probabilities, whole.probabilities, rtol=1e-4, atol=1e-6)
        assert sum(chunk.truncated for chunk in chunks) == 1

    def test_holds_two_chunks_at_most(self, tiny_tuned: Classifier) -> None:
        given = 0

        def texts() -> Iterator[str]:
            nonlocal given
            for _ in range(70):
                given += 1
                yield "badi"

        for number, _ in enumerate(predict_stream(tiny_tuned, texts()), start=1):
            assert given <= (number + 1) * 7

    def test_a_mistake_comes_up_when_reading_gets_there(self, tiny_tuned: Classifier) -> None:
        chunks = predict_stream(tiny_tuned, ["badi"] * 9 + [" "])
        assert len(next(chunks).texts) == 7
        with pytest.raises(DataError, match="Text 10 is blank"):
            next(chunks)

    def test_no_texts_give_nothing(self, tiny_tuned: Classifier) -> None:
        assert list(predict_stream(tiny_tuned, [])) == []

    def test_one_string_is_refused(self, tiny_tuned: Classifier) -> None:
        with pytest.raises(DataError, match=r"predict_stream\(classifier, \[text\]\)"):
            next(predict_stream(tiny_tuned, "badi"))
