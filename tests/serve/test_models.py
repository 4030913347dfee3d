"""Served models: names, one base for many folders, predictions of folders loaded by themselves, and reloading."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from emotune.data.dataset import TextDataset
from emotune.folder.load import load
from emotune.inference.predict import predict
from emotune.serve.models import Models, check_folders, default_name
from emotune.system.errors import ArtifactError, ConfigError
from tests.serve.conftest import changed_copy


class TestNames:
    def test_are_those_of_the_folders_or_given(self, served_folder: Path, other_folder: Path) -> None:
        assert list(check_folders([served_folder, f"b-2={other_folder}"])) == ["tuned", "b-2"]

    def test_a_folder_with_an_equals_sign_is_a_folder(self, served_folder: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(served_folder, tmp_path / "a=b")
        with pytest.raises(ConfigError, match="NAME=DIR"):
            check_folders([str(folder)])
        assert list(check_folders([f"c={folder}"])) == ["c"]

    def test_two_of_one_name_are_refused(self, served_folder: Path) -> None:
        with pytest.raises(ConfigError, match=r"both have the name 'tuned'.*NAME=DIR"):
            check_folders([served_folder, served_folder])

    def test_no_folder_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="no folder to serve"):
            check_folders([])

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ArtifactError, match="nothing-here"):
            check_folders([tmp_path / "nothing-here"])

    def test_the_default_is_the_first_or_the_given(self) -> None:
        assert default_name(["a", "b"], None) == "a"
        assert default_name(["a", "b"], "b") == "b"
        with pytest.raises(ConfigError, match=r"'c', which is not served.*'a', 'b'"):
            default_name(["a", "b"], "c")


class TestPredictions:
    def test_are_those_of_the_folders_by_themselves(
        self, models: Models, served_folder: Path, other_folder: Path, tiny_data: TextDataset
    ) -> None:
        texts = tiny_data.test.texts
        for name, folder in (("tuned", served_folder), ("other", other_folder)):
            expected = predict(load(folder), texts, precision="fp32")
            found = models.get(name).predictor.predict(texts)
            assert found.labels == expected.labels
            np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=0, atol=1e-5)

    def test_a_folder_alone_has_its_adapter_merged(self, served_folder: Path, tiny_data: TextDataset) -> None:
        alone = next(iter(Models.open([served_folder], precision="fp32")))
        expected = predict(load(served_folder), tiny_data.test.texts, precision="fp32")
        assert np.array_equal(alone.predictor.predict(tiny_data.test.texts).probabilities, expected.probabilities)

    def test_bf16_works(self, served_folder: Path, other_folder: Path, tiny_data: TextDataset) -> None:
        opened = Models.open([served_folder, other_folder], precision="bf16")
        for folder in (served_folder, other_folder):
            expected = predict(load(folder), tiny_data.test.texts, precision="bf16")
            found = opened.get(folder.name).predictor.predict(tiny_data.test.texts)
            assert np.mean([one == two for one, two in zip(found.labels, expected.labels, strict=True)]) > 0.9

    def test_the_matrices_of_the_base_are_held_once(self, models: Models) -> None:
        def matrices(name: str) -> list[int]:
            encoder = models.get(name).predictor._engine._model.bert  # type: ignore[union-attr]
            return [
                part.weight.data_ptr()
                for layer in encoder.stack.layers
                for part in (*layer.inputs, layer.attended, layer.inner, layer.outer)
            ]

        assert matrices("tuned") == matrices("other")


class TestInfo:
    def test_describes_the_folder(self, models: Models) -> None:
        info = models.get("tuned").classifier_info
        assert (info.name, info.task, info.method, info.max_length) == ("tuned", "single-label", "LoRA", 32)
        assert info.labels == ("sadness", "joy", "love", "anger", "fear", "surprise")
        assert (info.calibrated, info.report) == (True, True)
        other = models.get("other").classifier_info
        assert (other.calibrated, other.report) == (False, False)

    def test_an_unknown_name_is_a_key_error(self, models: Models) -> None:
        with pytest.raises(KeyError):
            models.get("nobody")


class TestDamage:
    def test_weights_of_another_model_are_refused(self, served_folder: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(served_folder, tmp_path / "tuned")
        path = folder / "adapter_model.safetensors"
        save_file({name: tensor * 2 for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})
        with pytest.raises(ArtifactError, match=r"does not give its saved predictions.*emotune verify"):
            Models.open([folder], precision="fp32")


class TestReload:
    def test_serves_the_new_model_once_it_has_changed(
        self, served_folder: Path, other_folder: Path, tmp_path: Path, tiny_data: TextDataset
    ) -> None:
        folder = shutil.copytree(served_folder, tmp_path / "tuned")
        opened = Models.open([folder, other_folder], precision="fp32")
        old = opened.get("tuned")
        assert not opened.reload("tuned")
        assert opened.get("tuned") is old
        new = changed_copy(served_folder, tmp_path / "new", factor=0.5)
        shutil.rmtree(folder)
        new.rename(folder)
        assert opened.reload("tuned")
        expected = predict(load(folder), tiny_data.test.texts, precision="fp32").probabilities
        found = opened.get("tuned").predictor.predict(tiny_data.test.texts).probabilities
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
        # Requests that have begun keep the old one.
        assert old.predictor.predict(tiny_data.test.texts[:1]).labels

    def test_a_damaged_folder_leaves_the_old_model(self, served_folder: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(served_folder, tmp_path / "tuned")
        opened = Models.open([folder], precision="fp32")
        old = opened.get("tuned")
        description = json.loads((folder / "emotune.json").read_text())
        (folder / "emotune.json").write_text(json.dumps(description | {"labels": []}))
        with pytest.raises(ArtifactError):
            opened.reload("tuned")
        assert opened.get("tuned") is old
