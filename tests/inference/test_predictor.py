"""A held predictor against plain models and the verbs: the same numbers, for threads and streams too, and nothing left behind."""

from __future__ import annotations

import copy
import dataclasses
import gc
import random
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import emotune
from emotune.engine.encoder import Encoder
from emotune.evaluation.evaluate import evaluate
from emotune.folder.base import load_base
from emotune.folder.many import load_many
from emotune.inference import predictor as module
from emotune.inference.predict import predict, predict_stream
from emotune.inference.predictor import Predictions, Predictor
from emotune.methods.base import Method
from emotune.methods.bottleneck import Bottleneck
from emotune.methods.lora import LoRA
from emotune.methods.prompts import PrefixTuning
from emotune.system.errors import ConfigError, DataError
from emotune.tasks.single_label import SINGLE_LABEL

from ..tiny_models import make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import BertTokenizer

    from emotune.data.dataset import TextDataset
    from emotune.models.classifier import Classifier


@pytest.fixture(scope="module")
def requests(tiny_data: TextDataset) -> list[list[str]]:
    """One text and many, short ones and such as are cut."""
    generator = random.Random(3)
    words = " ".join(tiny_data.train.texts).split()
    return [
        [" ".join(generator.choices(words, k=generator.randint(1, 40))) for _ in range(generator.choice((1, 1, 2, 9)))]
        for _ in range(48)
    ]


def adapted(base: Classifier, method: Method) -> Classifier:
    """The base with adapters of random numbers, as training would leave them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: Any = method.apply(copy.deepcopy(base.model), base.name).eval()
        for _, parameter in sorted(model.named_parameters()):
            if parameter.requires_grad:
                parameter.data += 0.1 * torch.randn_like(parameter)
    return dataclasses.replace(base, model=model)


def assert_same(found: Predictions, expected: Predictions) -> None:
    """Bit for bit."""
    assert (found.texts, found.labels, found.truncated) == (expected.texts, expected.labels, expected.truncated)
    assert found.label_names == expected.label_names
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)


def test_is_public() -> None:
    assert emotune.Predictor is Predictor


class TestNumbers:
    def test_are_those_of_plain_peft(self, tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
        texts = tiny_data.test.texts
        with torch.no_grad():
            logits = tiny_tuned.model(**tiny_tuned.tokenizer(list(texts), padding=True, return_tensors="pt")).logits
        found = Predictor(tiny_tuned, precision="fp32").predict(texts)
        np.testing.assert_allclose(found.probabilities, logits.softmax(-1).numpy(), rtol=1e-4, atol=1e-6)
        assert found.labels == tuple(tiny_data.labels[i] for i in logits.argmax(-1))

    def test_are_those_of_evaluate(self, tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
        found = Predictor(tiny_tuned, precision="fp32").predict(tiny_data.test.texts)
        expected = evaluate(tiny_tuned, tiny_data.test)
        np.testing.assert_array_equal(found.probabilities, expected.probabilities)
        assert found.labels == tuple(tiny_data.labels[i] for i in expected.predictions)

    @pytest.mark.slow
    @pytest.mark.parametrize("precision", ["fp32", "bf16", "auto"])
    def test_of_every_call_are_those_of_a_predictor_made_for_it(
        self, tiny_tuned: Classifier, requests: list[list[str]], precision: str
    ) -> None:
        with Predictor(tiny_tuned, precision=precision) as predictor:
            for texts in requests:
                assert_same(predictor.predict(texts), predict(tiny_tuned, texts, precision=precision))
        assert predictor.precision in ("fp32", "bf16")
        assert predictor.precision == precision or precision == "auto"
        assert (predictor.labels, predictor.max_length) == (tiny_tuned.labels, 32)

    def test_calibrated(self, tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
        texts = tiny_data.test.texts
        scaled = dataclasses.replace(tiny_tuned, temperature=2.0)
        plain = Predictor(scaled, precision="fp32").predict(texts)
        found = Predictor(scaled, precision="fp32", calibrated=True).predict(texts)
        assert found.labels == plain.labels
        softened = np.sqrt(plain.probabilities)
        np.testing.assert_allclose(found.probabilities, softened / softened.sum(axis=1, keepdims=True), rtol=1e-5)
        assert_same(found, predict(scaled, texts, precision="fp32", calibrated=True))

    def test_how_many_texts_were_cut(self, tiny_tuned: Classifier) -> None:
        predictor = Predictor(tiny_tuned)
        assert predictor.predict(["badi " * 30, "badi " * 31, "badi"]).truncated == 1
        assert predictor.predict(["badi " * 30]).truncated == 0

    def test_a_decision_is_the_largest_logit_and_its_softmax(self) -> None:
        logits = np.array([[0.0, np.log(3.0)], [2.0, 2.0]], dtype=np.float32)
        chosen, probabilities = SINGLE_LABEL.decide(logits), SINGLE_LABEL.probabilities(logits)
        assert chosen.tolist() == [1, 0]
        np.testing.assert_allclose(probabilities, [[0.25, 0.75], [0.5, 0.5]], rtol=1e-6)
        logits = np.array([[0.0, np.log(9.0)]], dtype=np.float32)
        chosen, probabilities = SINGLE_LABEL.decide(logits), SINGLE_LABEL.probabilities(logits, 2.0)
        np.testing.assert_allclose(probabilities, [[0.25, 0.75]], rtol=1e-6)


class TestHolding:
    def test_the_encoder_is_made_once(
        self, tiny_tuned: Classifier, requests: list[list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = []
        plain = Encoder.__init__

        def counting(self: Encoder, *args: Any, **kwargs: Any) -> None:
            made.append(self)
            plain(self, *args, **kwargs)

        monkeypatch.setattr(Encoder, "__init__", counting)
        predictor = Predictor(tiny_tuned)
        for texts in requests[:5]:
            predictor.predict(texts)
        list(predictor.stream(iter(["badi"] * 9)))
        assert len(made) == 1

    @pytest.mark.parametrize("method", [LoRA(r=2), LoRA(r=2, dropout=0.1)], ids=["fast path", "plain path"])
    def test_the_classifier_is_left_as_it_is_and_followed_in_nothing(
        self, tiny_base: Classifier, requests: list[list[str]], method: Method
    ) -> None:
        tuned = adapted(tiny_base, method)
        tuned.model.train()
        state = {name: tensor.clone() for name, tensor in tuned.model.state_dict().items()}
        predictor = Predictor(tuned, precision="fp32")
        expected = [predictor.predict(texts) for texts in requests[:5]]
        assert all(part.training and "forward" not in vars(part) for part in tuned.model.modules())
        assert all(torch.equal(tensor, state[name]) for name, tensor in tuned.model.state_dict().items())
        for parameter in tuned.model.parameters():
            parameter.data = parameter.data + 1
        for texts, before in zip(requests, expected, strict=False):
            assert_same(predictor.predict(texts), before)

    @pytest.mark.slow
    def test_predictors_of_different_precision_work_beside_each_other_and_beside_evaluate(
        self, tiny_tuned: Classifier, tiny_data: TextDataset, requests: list[list[str]]
    ) -> None:
        predictors = [Predictor(tiny_tuned, precision=name) for name in ("fp32", "bf16")]
        expected = [[predict(tiny_tuned, texts, precision=p.precision) for texts in requests] for p in predictors]
        scores = evaluate(tiny_tuned, tiny_data.test).logits
        started = threading.Barrier(3)

        def work(predictor: Predictor) -> list[Predictions]:
            started.wait(timeout=60)
            return [predictor.predict(texts) for texts in requests]

        with ThreadPoolExecutor(max_workers=3) as threads:
            running = [threads.submit(work, predictor) for predictor in predictors]
            started.wait(timeout=60)
            for _ in range(5):
                np.testing.assert_array_equal(evaluate(tiny_tuned, tiny_data.test).logits, scores)
            for future, theirs in zip(running, expected, strict=True):
                for one, other in zip(future.result(timeout=60), theirs, strict=True):
                    assert_same(one, other)

    def test_predictors_of_folders_share_the_base_s_memory(
        self, tiny_saved: Path, tiny_bert: Path, tmp_path: Path, requests: list[list[str]]
    ) -> None:
        import shutil

        other = Path(shutil.copytree(tiny_saved, tmp_path / "other"))
        classifiers = load_many([tiny_saved, other], base=tiny_bert)
        predictors = {folder: Predictor(classifier, precision="fp32") for folder, classifier in classifiers.items()}
        held = [{p.data_ptr(): p.nbytes for p in engine_of(p)._model.parameters()} for p in predictors.values()]
        embeddings = classifiers[str(other)].model.get_input_embeddings().weight
        assert embeddings.data_ptr() in held[0]
        assert embeddings.data_ptr() in held[1]
        for folder, predictor in predictors.items():
            for texts in requests[:5]:
                assert_same(predictor.predict(texts), predict(classifiers[folder], texts, precision="fp32"))

    def test_matrices_without_adapters_are_not_copied(self, tiny_base: Classifier) -> None:
        tuned = adapted(tiny_base, LoRA(r=2, target_modules=("query",)))
        layer = engine_of(Predictor(tuned, precision="fp32"))._model.bert.stack.layers[0]
        plain = tuned.model.get_submodule("base_model.model.bert.encoder.layer.0")
        for part, place in (
            (layer.attended, "attention.output.dense"),
            (layer.inner, "intermediate.dense"),
            (layer.outer, "output.dense"),
        ):
            assert part.weight.data_ptr() == plain.get_submodule(place).weight.data_ptr()


def engine_of(predictor: Predictor) -> Any:
    """What it holds."""
    return predictor._engine


class TestThreads:
    @pytest.mark.slow
    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_get_what_a_lone_call_gives(
        self, tiny_tuned: Classifier, requests: list[list[str]], precision: str
    ) -> None:
        predictor = Predictor(tiny_tuned, precision=precision)
        expected = [predictor.predict(texts) for texts in requests]
        started = threading.Barrier(8)

        def work(seed: int) -> list[tuple[int, Predictions]]:
            order = random.Random(seed).sample(range(len(requests)), len(requests))
            started.wait(timeout=60)
            return [(number, predictor.predict(requests[number])) for number in order]

        with ThreadPoolExecutor(max_workers=8) as threads:
            for found in threads.map(work, range(8)):
                for number, predictions in found:
                    assert_same(predictions, expected[number])

    @pytest.mark.slow
    def test_share_a_model_that_the_fast_path_does_not_cover(
        self, tiny_base: Classifier, requests: list[list[str]]
    ) -> None:
        predictor = Predictor(adapted(tiny_base, PrefixTuning(tokens=2)), precision="fp32")
        few = [[text for text in texts if len(text) < 100] or ["badi"] for texts in requests]
        expected = [predictor.predict(texts) for texts in few]
        with ThreadPoolExecutor(max_workers=8) as threads:
            for ours, theirs in zip(threads.map(predictor.predict, few * 3), expected * 3, strict=True):
                assert_same(ours, theirs)


class TestOtherModels:
    """What the fast path does not cover runs as transformers and PEFT wrote it."""

    @pytest.mark.parametrize("family", ["albert", "deberta", "gpt2", "modernbert"])
    def test_other_families(
        self, family: str, tiny_tokenizer: BertTokenizer, tiny_data: TextDataset, tmp_path: Path
    ) -> None:
        base = load_base(make_folder(family, tmp_path / family, tiny_tokenizer), labels=tiny_data.labels, max_length=32)
        tuned = adapted(base, LoRA(r=2))
        texts = list(tiny_data.test.texts)
        predictor = Predictor(tuned, precision="fp32")
        found = predictor.predict(texts)
        with torch.no_grad():
            rows = [tuned.model(**base.tokenizer(text, return_tensors="pt")).logits[0] for text in texts]
        np.testing.assert_allclose(found.probabilities, torch.stack(rows).softmax(-1), rtol=1e-4, atol=1e-6)
        assert_same(found, predict(tuned, texts, precision="fp32"))
        np.testing.assert_array_equal(found.probabilities, evaluate(tuned, tiny_data.test).probabilities)

    @pytest.mark.parametrize("method", [Bottleneck(size=4), PrefixTuning(tokens=2)], ids=lambda method: method.name)
    def test_methods_that_cannot_be_merged(self, tiny_base: Classifier, tiny_data: TextDataset, method: Method) -> None:
        tuned = adapted(tiny_base, method)
        texts = list(tiny_data.test.texts)
        with torch.no_grad():
            rows = [tuned.model(**tuned.tokenizer(text, return_tensors="pt")).logits[0] for text in texts]
        found = Predictor(tuned, precision="fp32").predict(texts)
        np.testing.assert_allclose(found.probabilities, torch.stack(rows).softmax(-1), rtol=1e-4, atol=1e-6)

    def test_a_base_model(self, tiny_base: Classifier, tiny_data: TextDataset) -> None:
        texts = tiny_data.test.texts
        assert_same(Predictor(tiny_base, precision="fp32").predict(texts), predict(tiny_base, texts, precision="fp32"))


class TestStream:
    @pytest.fixture(autouse=True)
    def _small_chunks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "CHUNK", 7)

    def test_is_what_predict_stream_gives_in_the_order_of_the_texts(
        self, tiny_tuned: Classifier, tiny_data: TextDataset
    ) -> None:
        texts = [*tiny_data.test.texts, "badi " * 31]
        predictor = Predictor(tiny_tuned, precision="fp32")
        for _ in range(2):
            chunks = list(predictor.stream(iter(texts)))
            expected = list(predict_stream(tiny_tuned, iter(texts), precision="fp32"))
            for ours, theirs in zip(chunks, expected, strict=True):
                assert_same(ours, theirs)
            assert [text for chunk in chunks for text in chunk.texts] == texts
            assert [len(chunk.texts) for chunk in chunks] == [7] * 5 + [2]
            assert sum(chunk.truncated for chunk in chunks) == 1

    def test_reads_no_text_before_it_is_asked_and_one_chunk_ahead_after(self, tiny_tuned: Classifier) -> None:
        given = 0

        def texts() -> Iterator[str]:
            nonlocal given
            for _ in range(70):
                given += 1
                yield "badi"

        chunks = Predictor(tiny_tuned).stream(texts())
        assert given == 0
        for number, _ in enumerate(chunks, start=1):
            assert given <= (number + 1) * 7

    def test_a_mistake_comes_up_when_reading_gets_there(self, tiny_tuned: Classifier) -> None:
        predictor = Predictor(tiny_tuned)
        chunks = predictor.stream(["badi"] * 9 + [" "])
        assert len(next(chunks).texts) == 7
        with pytest.raises(DataError, match="Text 10 is blank"):
            next(chunks)
        assert predictor.predict(["badi"]).labels

    def test_no_texts_give_nothing(self, tiny_tuned: Classifier) -> None:
        assert list(Predictor(tiny_tuned).stream([])) == []

    def test_what_is_no_list_is_refused_at_once(self, tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
        with pytest.raises(DataError, match=r"stream takes a list.*predictor.stream\(\[text\]\)"):
            Predictor(tiny_tuned).stream("badi")
        wrong: Any = tiny_data.test
        with pytest.raises(DataError, match=r"data\.test\.texts"):
            Predictor(tiny_tuned).stream(wrong)


class TestMistakes:
    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            (
                "one text",
                r"predict takes a list of texts, and was given one string\. Write predictor\.predict\(\[text\]\)",
            ),
            ([], "There is no text to predict"),
            (["fine", " \t\n"], "Text 2 is blank"),
            (["fine", None], "Text 2 is NoneType"),
            ({"text": ["fine"]}, r"a table \(dict\)"),
            (None, "an object of type NoneType"),
        ],
    )
    def test_what_is_not_a_text_is_refused(self, tiny_tuned: Classifier, texts: Any, message: str) -> None:
        with pytest.raises(DataError, match=message):
            Predictor(tiny_tuned).predict(texts)

    def test_options_are_looked_at_when_it_is_made(self, tiny_tuned: Classifier) -> None:
        with pytest.raises(ConfigError, match="The precision 'fp16' is unknown"):
            Predictor(tiny_tuned, precision="fp16")
        with pytest.raises(ConfigError, match="no temperature"):
            Predictor(tiny_tuned, calibrated=True)


class TestClosing:
    def test_further_calls_are_refused(self, tiny_tuned: Classifier) -> None:
        with Predictor(tiny_tuned) as predictor:
            predictor.predict(["badi"])
        predictor.close()  # twice is no mistake
        for call in (predictor.predict, predictor.stream):
            with pytest.raises(ConfigError, match=r"This predictor is closed.*Make another: Predictor\(classifier\)"):
                call(["badi"])
        with pytest.raises(ConfigError, match="closed"), predictor:
            pass
        assert predictor.labels == tiny_tuned.labels

    def test_calls_under_way_end_as_they_would(self, tiny_tuned: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "CHUNK", 2)
        predictor = Predictor(tiny_tuned)
        chunks = predictor.stream(["badi"] * 5)
        first = next(chunks)
        predictor.close()
        assert [first.labels[0]] * 3 == [label for chunk in chunks for label in chunk.labels]

    @pytest.mark.parametrize("method", [LoRA(r=2), LoRA(r=2, dropout=0.1)], ids=["fast path", "plain path"])
    def test_lets_go_of_the_weights(self, tiny_base: Classifier, method: Method) -> None:
        tuned = adapted(tiny_base, method)
        predictor = Predictor(tuned, precision="bf16")
        predictor.predict(["badi", "miko"])
        held = weakref.ref(engine_of(predictor)._model)
        predictor.close()
        gc.collect()
        assert held() is None

    def test_a_classifier_that_is_given_up_leaves_its_layers(self, tiny_base: Classifier) -> None:
        tuned = adapted(tiny_base, LoRA(r=2))
        predictor = Predictor(tuned, precision="fp32")
        expected = predictor.predict(["badi"])
        layer = weakref.ref(
            tuned.model.get_parameter("base_model.model.bert.encoder.layer.0.output.dense.base_layer.weight")
        )
        del tuned
        gc.collect()
        assert layer() is None
        assert_same(predictor.predict(["badi"]), expected)
