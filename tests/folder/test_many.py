"""Many folders over one base: the same memory, the same predictions as by themselves, and damage that is said."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from emotune.data.load import load_data
from emotune.folder.base import load_base
from emotune.folder.load import load
from emotune.folder.many import load_many
from emotune.inference.predict import predict
from emotune.methods.full import FullFineTuning
from emotune.methods.lora import LoRA
from emotune.system.errors import ArtifactError, ModelError
from emotune.training.finetune import finetune
from emotune.training.options import TrainingOptions
from tests.conftest import Recording

if TYPE_CHECKING:
    from emotune.data.dataset import Split, TextDataset
    from emotune.models.classifier import Classifier


def in_two_labels(data: TextDataset) -> TextDataset:
    """The data with the labels "low" and "high" instead of six."""

    def changed(split: Split) -> Split:
        return dataclasses.replace(split, label_ids=split.label_ids // 3, labels=("low", "high"))

    return dataclasses.replace(
        data,
        labels=("low", "high"),
        train=changed(data.train),
        validation=changed(data.validation),
        test=changed(data.test),
    )


def tuned(bert: Path, data: TextDataset, folder: Path, method: Any, seed: int = 0, **options: Any) -> Path:
    """The folder of a model that was tuned for an epoch."""
    base = load_base(bert, labels=data.labels, **options)
    training = TrainingOptions(epochs=1, learning_rate=1e-2, precision="fp32", device="cpu")
    return finetune(base, data, method, training, seed=seed).save(folder)


@pytest.fixture(scope="module")
def two_labels(tiny_bert: Path, tiny_data: TextDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with other labels, another rank, another seed and shorter texts."""
    folder = tmp_path_factory.mktemp("many") / "two"
    return tuned(tiny_bert, in_two_labels(tiny_data), folder, LoRA(r=3), max_length=8, seed=5)


@pytest.fixture(scope="module")
def whole(tiny_bert: Path, tiny_data: TextDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model all of whose weights were trained."""
    return tuned(tiny_bert, tiny_data, tmp_path_factory.mktemp("many") / "whole", FullFineTuning(), max_length=32)


@pytest.fixture(scope="module")
def folders(tiny_saved: Path, two_labels: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six labels, two labels, and six again with other weights."""
    third = Path(shutil.copytree(tiny_saved, tmp_path_factory.mktemp("many") / "third"))
    weights = load_file(third / "adapter_model.safetensors")
    save_file({name: tensor * 1.5 for name, tensor in weights.items()}, third / "adapter_model.safetensors")
    return [tiny_saved, two_labels, third]


def base_weights(classifier: Classifier) -> dict[str, torch.nn.Parameter]:
    """The frozen weights of the encoder, by their names in the base model."""
    return {
        name.removeprefix("base_model.model.").replace(".base_layer.", ".").replace(".original_module.", "."): parameter
        for name, parameter in classifier.model.named_parameters()
        if ".bert." in name and ".lora_" not in name and ".modules_to_save." not in name
    }


def own_weights(classifier: Classifier) -> list[torch.nn.Parameter]:
    parts = (".lora_", ".modules_to_save.", ".classifier.")
    return [p for name, p in classifier.model.named_parameters() if any(part in name for part in parts)]


class TestSharing:
    def test_the_base_is_one_memory_and_all_else_is_each_one_s_own(self, folders: list[Path], tiny_bert: Path) -> None:
        loaded = list(load_many(folders, base=tiny_bert).values())
        stored = load_file(tiny_bert / "model.safetensors")
        first = base_weights(loaded[0])
        assert len(first) == len(stored) > 30
        for other in loaded[1:]:
            theirs = base_weights(other)
            assert {name: p.data_ptr() for name, p in theirs.items()} == {
                name: p.data_ptr() for name, p in first.items()
            }
            assert not any(theirs[name] is first[name] for name in first)
        for name, tensor in stored.items():
            assert torch.equal(first[f"bert.{name}"], tensor), name
        own = [parameter.data_ptr() for classifier in loaded for parameter in own_weights(classifier)]
        assert len(own) == len(set(own))
        assert not set(own) & {parameter.data_ptr() for parameter in first.values()}

    def test_a_base_in_half_precision_is_shared_too(self, folders: list[Path], tiny_bert: Path, tmp_path: Path) -> None:
        half = Path(shutil.copytree(tiny_bert, tmp_path / "tiny-bert"))
        weights = {name: tensor.half() for name, tensor in load_file(half / "model.safetensors").items()}
        save_file(weights, half / "model.safetensors", metadata={"format": "pt"})
        one, other = list(load_many(folders[:2], base=half).values())
        for name, parameter in base_weights(one).items():
            assert parameter.dtype == torch.float32
            assert parameter.data_ptr() == base_weights(other)[name].data_ptr()

    def test_each_base_is_shared_by_its_own(self, folders: list[Path], tiny_bert: Path, tmp_path: Path) -> None:
        copies = []
        for number, folder in enumerate((*folders, folders[0])):
            copies.append(Path(shutil.copytree(folder, tmp_path / str(number))))
            bert = tmp_path / f"bert{number % 2}" / "tiny-bert"
            shutil.copytree(tiny_bert, bert, dirs_exist_ok=True)
            description = json.loads((copies[-1] / "emotune.json").read_text())
            description["base_model"]["source"] = str(bert)
            (copies[-1] / "emotune.json").write_text(json.dumps(description))
        pointers = [
            {parameter.data_ptr() for parameter in base_weights(classifier).values()}
            for classifier in load_many(copies).values()
        ]
        assert pointers[0] == pointers[2]
        assert pointers[1] == pointers[3]
        assert not pointers[0] & pointers[1]

    def test_tokenizers_of_equal_files_are_one(self, folders: list[Path], tiny_bert: Path) -> None:
        six, two, third = load_many(folders, base=tiny_bert).values()
        assert six.tokenizer is third.tokenizer
        assert six.tokenizer is not two.tokenizer  # which cuts texts earlier


class TestPredictions:
    @pytest.mark.slow
    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_are_bitwise_those_of_folders_loaded_by_themselves(
        self, folders: list[Path], tiny_bert: Path, tiny_data: TextDataset, precision: str
    ) -> None:
        together = load_many(folders, base=tiny_bert)
        assert list(together) == [str(folder) for folder in folders]
        texts = tiny_data.test.texts
        # Twice, and in another order: what was predicted before leaves nothing behind.
        for folder in (*folders, *reversed(folders)):
            alone = predict(load(folder, base=tiny_bert), texts, precision=precision)
            found = predict(together[str(folder)], texts, precision=precision)
            assert found.label_names == alone.label_names
            assert (found.labels, found.truncated) == (alone.labels, alone.truncated)
            np.testing.assert_array_equal(found.probabilities, alone.probabilities)

    @pytest.mark.slow
    def test_of_many_threads_are_those_of_one(
        self, folders: list[Path], tiny_bert: Path, tiny_data: TextDataset
    ) -> None:
        classifiers = list(load_many(folders, base=tiny_bert).values())
        requests = [(number % 3, tiny_data.train.texts[number : number + 40]) for number in range(60)]
        expected = [predict(classifiers[number], texts, precision="fp32") for number, texts in requests]

        def answer(request: tuple[int, tuple[str, ...]]) -> Any:
            return predict(classifiers[request[0]], request[1], precision="fp32")

        with ThreadPoolExecutor(max_workers=6) as threads:
            found = list(threads.map(answer, requests))
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.truncated == theirs.truncated
            np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)

    def test_can_be_saved_again(
        self, folders: list[Path], tiny_bert: Path, tiny_data: TextDataset, tmp_path: Path
    ) -> None:
        two = load_many(folders, base=tiny_bert)[str(folders[1])]
        two.save(tmp_path / "again")
        again = load(tmp_path / "again", base=tiny_bert)
        expected, found = (predict(one, tiny_data.test.texts, precision="fp32") for one in (two, again))
        np.testing.assert_array_equal(found.probabilities, expected.probabilities)


class TestWholeModels:
    def test_share_no_weights_and_are_said_to(
        self, folders: list[Path], whole: Path, tiny_bert: Path, tiny_data: TextDataset
    ) -> None:
        progress = Recording()
        loaded = load_many([folders[0], whole], base=tiny_bert, progress=progress)
        assert progress.lines == [
            f"'{whole}' is a whole model (full fine-tuning): it shares no weights with the others"
        ]
        texts = tiny_data.test.texts
        expected = predict(load(whole), texts, precision="fp32").probabilities
        np.testing.assert_array_equal(predict(loaded[str(whole)], texts, precision="fp32").probabilities, expected)
        ours, theirs = (
            {parameter.data_ptr() for parameter in classifier.model.parameters()} for classifier in loaded.values()
        )
        assert not ours & theirs

    def test_need_no_base(self, whole: Path) -> None:
        assert list(load_many([whole])) == [str(whole)]


class TestMistakes:
    @pytest.fixture
    def damaged(self, two_labels: Path, tmp_path: Path) -> Path:
        """A copy that a test may damage."""
        return Path(shutil.copytree(two_labels, tmp_path / "damaged"))

    @pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "tokenizer.json"])
    @pytest.mark.parametrize("content", [None, b"{"])
    def test_a_damaged_folder_is_named(
        self, folders: list[Path], damaged: Path, tiny_bert: Path, name: str, content: bytes | None
    ) -> None:
        (damaged / name).unlink() if content is None else (damaged / name).write_bytes(content)
        with pytest.raises(ArtifactError, match=f"'?{damaged}") as raised:
            load_many([*folders, damaged], base=tiny_bert)
        assert len(str(raised.value).splitlines()) <= 3

    def test_a_folder_that_its_base_does_not_take_is_named(
        self, folders: list[Path], damaged: Path, tiny_bert: Path
    ) -> None:
        description = json.loads((damaged / "emotune.json").read_text())
        (damaged / "emotune.json").write_text(json.dumps(description | {"max_length": 999}))
        with pytest.raises(ModelError, match=f"^'{damaged}': The maximum length of 999"):
            load_many([*folders, damaged], base=tiny_bert)

    def test_nothing_is_loaded_where_a_file_is_missing(
        self, folders: list[Path], damaged: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (damaged / "config.json").unlink()
        monkeypatch.setattr("emotune.folder.many.OpenBase", lambda *_: pytest.fail("the base was loaded"))
        with pytest.raises(ArtifactError, match=f"'{damaged}' is incomplete: config.json"):
            load_many([*folders, damaged], base=tiny_bert)

    def test_a_base_that_was_local_must_be_given(self, folders: list[Path]) -> None:
        with pytest.raises(ArtifactError, match=r"local folder \('tiny-bert'\)"):
            load_many(folders)

    def test_a_base_that_is_not_there(self, folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ModelError, match="There is no folder 'missing'"):
            load_many(folders, base=Path("missing"))

    def test_one_base_for_folders_with_different_ones(
        self, folders: list[Path], damaged: Path, tiny_bert: Path
    ) -> None:
        description = json.loads((damaged / "emotune.json").read_text())
        description["base_model"]["name"] = "other-bert"
        (damaged / "emotune.json").write_text(json.dumps(description))
        with pytest.raises(
            ArtifactError, match=rf"trained on 2: '{folders[0]}' on tiny-bert, '{damaged}' on other-bert"
        ):
            load_many([*folders, damaged], base=tiny_bert)

    def test_no_folder_and_one_folder(self, tiny_saved: Path) -> None:
        with pytest.raises(ArtifactError, match="no folder to load"):
            load_many([])
        with pytest.raises(ArtifactError, match=r"Write load_many\(\['.*tuned'\]\)"):
            load_many(str(tiny_saved))


# Loads so many folders, labels a few texts with each, and says how much memory that took at most.
SCRIPT = """
import sys
import emotune
from emotune.system.memory import peak_memory_bytes

for classifier in emotune.load_many(sys.argv[1:]).values():
    emotune.predict(classifier, ["something is scratching at the back door"] * 8, precision="fp32")
print(peak_memory_bytes())
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell a process its peak of memory")
def test_ten_adapters_take_little_more_memory_than_one(tmp_path: Path) -> None:
    data = load_data("bundled:sample")

    def first(split: Split) -> Split:
        return dataclasses.replace(split, texts=split.texts[:16], label_ids=split.label_ids[:16])

    few = dataclasses.replace(data, train=first(data.train), validation=first(data.validation), test=first(data.test))
    base = load_base("bundled:minilm", labels=data.labels, max_length=64)
    options = TrainingOptions(epochs=1, precision="fp32", device="cpu")
    saved = finetune(base, few, LoRA(r=1), options).save(tmp_path / "0")
    folders = [saved, *(Path(shutil.copytree(saved, tmp_path / str(number))) for number in range(1, 10))]

    def peak(count: int) -> int:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        arguments = [sys.executable, "-W", "ignore", "-c", SCRIPT, *map(str, folders[:count])]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
        return int(done.stdout)

    one, ten = peak(1), peak(10)
    assert ten <= 1.3 * one
    # The libraries take most of that; so, more strictly: the base is 91 MB, and an adapter with pooler, head and modules a few.
    assert ten - one < 9 * 8e6
