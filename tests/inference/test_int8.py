"""Prediction in int8 by OpenVINO: made once, checked against fp32, kept on disk, refused where it differs."""

from __future__ import annotations

import dataclasses
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotune.data.dataset import TextDataset
from emotune.data.kept import KeptRows
from emotune.folder.load import load
from emotune.folder.tuned import TunedClassifier
from emotune.inference import int8
from emotune.inference.int8 import Int8Check, int8_engine
from emotune.inference.openvino_engine import OpenVinoEngine
from emotune.inference.openvino_model import quantized
from emotune.inference.predict import predict
from emotune.inference.predictor import Predictor
from emotune.models.classifier import Classifier
from emotune.models.encoding import encode
from emotune.system.errors import ConfigError, OutputError, VerificationError

from ..conftest import Recording


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "int8"


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a few dozen rows, one other label is more than may differ."""
    monkeypatch.setattr(int8, "MOST_LOST", 0.1)
    monkeypatch.setattr(int8, "LEAST_AGREEMENT", 0.9)


@pytest.mark.slow
@pytest.mark.usefixtures("lenient")
class TestEngine:
    def test_gives_what_openvino_gives_for_padded_batches_and_is_close_to_fp32(
        self, tiny_tuned: TunedClassifier, tiny_data: TextDataset, cache: Path
    ) -> None:
        import openvino

        texts = tiny_data.test.texts
        encoded = encode(tiny_tuned.tokenizer, texts, 32)
        found = int8_engine(tiny_tuned).logits(encoded)
        (folder,) = cache.iterdir()
        exact = openvino.compile_model(folder / "openvino_model.xml", "CPU")
        padded = {name: value.numpy() for name, value in encoded.batch(range(len(texts))).items()}
        np.testing.assert_allclose(found, exact(padded)["logits"], atol=0.05)  # bf16 between the products
        fp32 = Predictor(tiny_tuned, precision="fp32").logits(texts)
        assert 0 < np.abs(found - fp32).max() < 0.2 * np.abs(fp32).max()

    def test_is_made_once_and_says_how_it_compares(
        self, tiny_tuned: TunedClassifier, tiny_data: TextDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = Recording(), Recording()
        with Predictor(tiny_tuned, precision="int8", progress=first) as predictor:
            assert predictor.precision == "int8"
            expected = predictor.logits(tiny_data.test.texts)
        monkeypatch.setattr(int8, "quantized", lambda *_, **__: pytest.fail("it was made again"))
        again = Predictor(tiny_tuned, precision="int8", progress=second).logits(tiny_data.test.texts)
        np.testing.assert_array_equal(again, expected)
        assert "quantizing" in first.lines[0]
        assert first.lines[1:] == second.lines
        assert "on 36 validation rows" in second.lines[0]

    def test_another_model_is_another_one(
        self, tiny_tuned: TunedClassifier, tiny_data: TextDataset, cache: Path
    ) -> None:
        int8_engine(tiny_tuned)
        (made,) = cache.iterdir()
        model = tiny_tuned.merged()
        model.classifier.bias.data += 0.01
        other = Classifier(**{f.name: getattr(tiny_tuned, f.name) for f in dataclasses.fields(Classifier)})
        changed = replace(other, model=model)
        int8_engine(changed)
        assert len(list(cache.iterdir())) == 2
        (made / "check.json").unlink()
        (made / "openvino_model.xml").unlink()
        int8_engine(tiny_tuned)  # what is incomplete is made again
        assert (made / "openvino_model.xml").is_file()
        assert len(list(cache.iterdir())) == 2

    def test_threads_get_what_a_lone_call_gives(self, tiny_tuned: TunedClassifier, tiny_data: TextDataset) -> None:
        requests = [[text] for text in tiny_data.test.texts[:8]] + [list(tiny_data.test.texts), ["badi"] * 3]
        predictor = Predictor(tiny_tuned, precision="int8")
        expected = [predictor.logits(texts) for texts in requests]
        started = threading.Barrier(4)

        def work(_: int) -> list[Any]:
            started.wait(timeout=60)
            return [predictor.logits(texts) for texts in requests]

        with ThreadPoolExecutor(4) as threads:
            for found in threads.map(work, range(4)):
                for one, other in zip(found, expected, strict=True):
                    np.testing.assert_array_equal(one, other)

    def test_windows_are_averaged(self, tiny_tuned: TunedClassifier, tiny_data: TextDataset) -> None:
        tuned = replace(tiny_tuned, windows=True)
        texts = [" ".join(tiny_data.test.texts[:9]), tiny_data.test.texts[0]]
        found = Predictor(tuned, precision="int8").logits(texts)
        fp32 = Predictor(tuned, precision="fp32").logits(texts)
        np.testing.assert_allclose(found, fp32, atol=0.2 * np.abs(fp32).max())

    def test_a_saved_folder_keeps_its_rows(self, tiny_saved: Path, tiny_bert: Path, tiny_data: TextDataset) -> None:
        loaded = load(tiny_saved, base=tiny_bert)
        assert loaded.kept is not None
        kept = loaded.kept()
        assert kept.calibration == tiny_data.train.texts
        assert kept.validation.fingerprint == tiny_data.validation.fingerprint
        assert predict(loaded, ["badi"], precision="int8").labels


class TestRefusals:
    def test_figures_decide(self) -> None:
        assert Int8Check(2000, 20, 1860, 1856).passes
        assert not Int8Check(2000, 21, 1860, 1860).passes
        assert not Int8Check(2000, 5, 1860, 1855).passes

    @pytest.mark.slow
    def test_the_products_that_lose_most_are_left_out_first(
        self, tiny_tuned: TunedClassifier, monkeypatch: pytest.MonkeyPatch, cache: Path
    ) -> None:
        import openvino

        asked: list[bool] = []

        def noted(*given: Any, but_narrowing: bool) -> Any:
            asked.append(but_narrowing)
            return quantized(*given, but_narrowing=but_narrowing)

        monkeypatch.setattr(int8, "quantized", noted)
        monkeypatch.setattr(Int8Check, "passes", property(lambda check: check.but_narrowing))
        said = Recording()
        int8_engine(tiny_tuned, said)
        assert asked == [False, True]
        assert said.lines[-1].endswith("without the second products of the feed-forward blocks")
        (folder,) = cache.iterdir()
        kept = [
            node
            for node in openvino.Core().read_model(folder / "openvino_model.xml").get_ops()
            if node.get_type_name() == "MatMul" and node.input_value(1).get_node().get_type_name() == "Constant"
        ]
        # Two layers and a head of six outputs are products with weights in float32.
        assert len(kept) == 3

    @pytest.mark.slow
    def test_one_that_differs_is_refused_with_its_figures_each_time(
        self, tiny_tuned: TunedClassifier, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logits = OpenVinoEngine.logits
        monkeypatch.setattr(OpenVinoEngine, "logits", lambda *given, **how: -logits(*given, **how))
        for _ in range(2):
            with pytest.raises(
                VerificationError, match=r"int8 changes this model too much: on 36 .* instead of .*bf16"
            ) as caught:
                Predictor(tiny_tuned, precision="int8")
            assert caught.value.exit_code == 1
            monkeypatch.setattr(int8, "quantized", lambda *_, **__: pytest.fail("it was made again"))

    def test_without_rows(self, tiny_tuned: TunedClassifier, tiny_base: Classifier, tiny_data: TextDataset) -> None:
        for keepless in (replace(tiny_tuned, kept=None), tiny_base):
            with pytest.raises(ConfigError, match=r"this model keeps none.*train the model again"):
                Predictor(keepless, precision="int8")
        rows = KeptRows.of(tiny_data)
        few = KeptRows(rows.calibration[:15], rows.validation)
        none = KeptRows(rows.calibration, rows.validation.take([]))
        for kept, said in ((few, "15 texts and 36 rows"), (none, "120 texts and 0 rows")):
            with pytest.raises(ConfigError, match=said):
                Predictor(replace(tiny_tuned, kept=partial(replace, kept)), precision="int8")

    def test_a_cache_that_cannot_be_written(
        self, tiny_tuned: TunedClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "file"))
        with pytest.raises(OutputError, match=r"cannot be kept in.*EMOTUNE_CACHE"):
            Predictor(tiny_tuned, precision="int8")


def test_samples_are_drawn_once_and_for_all(tiny_data: TextDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from emotune.data import kept

    monkeypatch.setattr(kept, "CALIBRATION_TEXTS", 7)
    monkeypatch.setattr(kept, "VALIDATION_ROWS", 5)
    one, other = KeptRows.of(tiny_data), KeptRows.of(tiny_data)
    assert one.calibration == other.calibration
    assert (len(one.calibration), len(one.validation)) == (7, 5)
    assert set(one.calibration) <= set(tiny_data.train.texts)
    assert one.validation.fingerprint == other.validation.fingerprint
    assert json.dumps(one.validation.counts) == json.dumps(other.validation.counts)
