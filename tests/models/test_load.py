"""Loading a base model: the encoder is the saved one in every number, the head is new, and what is wrong is said."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emotune.folder.base import load_base
from emotune.models.bundled import HUB_ID
from emotune.models.drawing import with_head_of
from emotune.models.load import load_tokenizer
from emotune.system.errors import ModelError

if TYPE_CHECKING:
    import torch
    from transformers import BertConfig


LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")
TEXTS = ["defo pave difu bofa", "luvu"]


@pytest.fixture
def folder(tiny_bert: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    return Path(shutil.copytree(tiny_bert, tmp_path / "model"))


@pytest.fixture
def tiny_config(tiny_bert: Path) -> BertConfig:
    from transformers import BertConfig

    return BertConfig.from_pretrained(tiny_bert)


def head(folder: Path, seed: int = 0) -> torch.Tensor:
    """The weights of a newly made head."""
    model = with_head_of(load_base(folder, labels=LABELS, max_length=32), seed).model
    weights: torch.Tensor = model.classifier.weight.detach()
    return weights


def edit_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


class TestEncoder:
    def test_is_the_saved_one(self, tiny_bert: Path) -> None:
        import torch
        from transformers import AutoModel

        classifier = load_base(tiny_bert, labels=LABELS, max_length=32)
        batch = classifier.tokenizer(TEXTS, padding=True, return_tensors="pt")
        with torch.no_grad():
            torch.testing.assert_close(
                classifier.model.bert(**batch).pooler_output,
                AutoModel.from_pretrained(tiny_bert).eval()(**batch).pooler_output,
            )

    def test_is_in_float32_and_evaluation_mode_whatever_was_saved(self, tiny_bert: Path, folder: Path) -> None:
        import torch
        from transformers import AutoModel

        AutoModel.from_pretrained(tiny_bert).half().save_pretrained(folder)
        model = load_base(folder, labels=LABELS, max_length=32).model
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        assert not any(module.training for module in model.modules())

    def test_may_come_from_a_language_model_without_pooler(self, tiny_config: BertConfig, folder: Path) -> None:
        import torch
        from transformers import BertForMaskedLM

        saved = BertForMaskedLM(tiny_config)
        saved.save_pretrained(folder)
        model = load_base(folder, labels=LABELS, max_length=32).model
        torch.testing.assert_close(
            model.bert.encoder.layer[1].output.dense.weight, saved.bert.encoder.layer[1].output.dense.weight
        )


class TestHead:
    def test_depends_on_the_seed_alone(self, tiny_bert: Path) -> None:
        import torch

        first = head(tiny_bert, seed=7)
        torch.rand(5), random.random(), np.random.rand(3)
        assert torch.equal(head(tiny_bert, seed=7), first)
        assert not torch.equal(head(tiny_bert, seed=8), first)

    def test_seed_reaches_python_and_numpy(self, tiny_bert: Path) -> None:
        draws = []
        for _ in range(2):
            with_head_of(load_base(tiny_bert, labels=LABELS, max_length=32), 3)
            draws.append((random.random(), float(np.random.rand())))
        assert draws[0] == draws[1]

    @pytest.mark.parametrize("saved_labels", [len(LABELS), 3])
    def test_is_new_where_the_checkpoint_has_one(
        self, saved_labels: int, tiny_bert: Path, tiny_config: BertConfig, folder: Path
    ) -> None:
        import torch
        from transformers import BertForSequenceClassification

        tiny_config.num_labels = saved_labels
        saved = BertForSequenceClassification.from_pretrained(tiny_bert, config=tiny_config)
        saved.save_pretrained(folder)
        model = load_base(folder, labels=LABELS, max_length=32).model
        assert torch.equal(model.classifier.weight, head(tiny_bert))
        assert torch.equal(model.bert.pooler.dense.weight, saved.bert.pooler.dense.weight)

    def test_has_the_labels_in_order(self, tiny_bert: Path) -> None:
        classifier = load_base(tiny_bert, labels=list(LABELS), max_length=32)
        config = classifier.model.config
        assert classifier.labels == LABELS
        assert tuple(config.id2label[i] for i in range(config.num_labels)) == LABELS
        assert tuple(sorted(config.label2id, key=config.label2id.get)) == LABELS
        assert config.problem_type == "single_label_classification"


class TestName:
    def test_of_a_folder_is_its_base_name_and_no_path_of_this_machine(self, tiny_bert: Path, tmp_path: Path) -> None:
        classifier = load_base(tiny_bert, labels=LABELS, max_length=32)
        assert (classifier.name, classifier.source, classifier.revision) == ("tiny-bert", str(tiny_bert), None)
        classifier.model.save_pretrained(tmp_path)
        classifier.tokenizer.save_pretrained(tmp_path)
        for file in tmp_path.glob("*.json"):
            assert str(tiny_bert.parent) not in file.read_text(), file.name

    @pytest.mark.parametrize(
        ("stored", "name"),
        [
            ("someone/model", "someone/model"),
            ("someone/what-it-was-trained-from", "model"),
            ("/home/someone/model", "model"),
            (7, "model"),
        ],
    )
    def test_comes_from_the_configuration_only_where_the_folder_bears_it_too(
        self, stored: object, name: str, folder: Path
    ) -> None:
        edit_config(folder, _name_or_path=stored)
        assert load_base(folder, labels=LABELS, max_length=32).name == name

    def test_of_a_relative_folder_is_not_a_dot(self, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tiny_bert)
        assert load_base(".", labels=LABELS, max_length=32).name == "tiny-bert"


def test_prints_nothing_and_leaves_the_settings(tiny_bert: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    logging.set_verbosity_info()
    try:
        before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
        load_base(tiny_bert, labels=LABELS, max_length=32)
        assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    finally:
        logging.set_verbosity_warning()
    assert capfd.readouterr() == ("", "")


def test_sharded_weights_load(tiny_bert: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModel

    (folder / "model.safetensors").unlink()
    AutoModel.from_pretrained(tiny_bert).save_pretrained(folder, max_shard_size="50KB")
    assert len(list(folder.glob("model-*-of-*.safetensors"))) > 1
    sharded, whole = (load_base(path, labels=LABELS, max_length=32).model for path in (folder, tiny_bert))
    assert all(torch.equal(a, b) for a, b in zip(sharded.parameters(), whole.parameters(), strict=True))


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def remove_tokenizer(folder: Path) -> None:
    for file in (*folder.glob("tokenizer*"), *folder.glob("vocab*")):
        file.unlink()


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut_weights_short(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def overwrite(name: str, content: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return damage


def config_says(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit_config(folder, **changes)


def rename_weights(prefix: str) -> Callable[[Path], None]:
    """Give the weights whose name starts with the prefix names that no model knows."""

    def damage(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        file = folder / "model.safetensors"
        weights = {("lost." + key if key.startswith(prefix) else key): value for key, value in load_file(file).items()}
        save_file(weights, file, metadata={"format": "pt"})

    return damage


def index_of(*shards: str) -> Callable[[Path], None]:
    """Replace the weights by an index that lists the given files."""

    def damage(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        index = {"weight_map": {f"weight{i}": shard for i, shard in enumerate(shards)}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return damage


def adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "bert-base-uncased"}')


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no configuration": (remove("config.json"), r"has no config\.json"),
    "no weights": (remove("model.safetensors"), r"has no model\.safetensors, nor model\.safetensors\.index\.json with"),
    "pickled weights": (pickle_only, r"it has pytorch_model\.bin\.\n.*safetensors only.*Convert.*\npython -c"),
    "weights cut short": (cut_weights_short, r"model\.safetensors \([\d,]+ bytes\) is damaged or cut short"),
    "weights of no bytes": (overwrite("model.safetensors", b""), r"model\.safetensors \(0 bytes\) is damaged"),
    "weights of noise": (overwrite("model.safetensors", bytes(range(256)) * 8), r"is damaged or cut short"),
    "weights without tensors": (overwrite("model.safetensors", b"\2" + bytes(7) + b"{}"), r"holds no weights"),
    "a shard is missing": (index_of("model-00001-of-00001.safetensors"), r"lacks 1 of the 1 weight files"),
    "a shard elsewhere": (index_of("../model.safetensors"), r"lacks 1 of the 1 weight files"),
    "an index of nothing": (index_of(), r"has no weight_map"),
    "an encoder layer is missing": (rename_weights("encoder.layer.1."), r"lacks 16 of the encoder's weights"),
    "all weights are other ones": (rename_weights(""), r"lacks 37 of the encoder's weights"),
    "more layers than configured": (config_says(num_hidden_layers=1), r"16 weights of layers that config\.json does"),
    "fewer layers than configured": (config_says(num_hidden_layers=3), r"lacks 16 of the encoder's weights"),
    "other sizes than configured": (
        config_says(intermediate_size=48),
        r"6 weights do not fit .*\(64,\), expected \(48,\)",
    ),
    "no tokenizer": (remove_tokenizer, r"has no tokenizer: expected tokenizer\.json"),
    "a damaged tokenizer": (overwrite("tokenizer.json", b"{]"), r"tokenizer cannot be loaded"),
    "configuration that is not JSON": (overwrite("config.json", b"{"), r"config\.json cannot be read"),
    "configuration that is not text": (overwrite("config.json", b"\xff\xfe\0"), r"config\.json cannot be read"),
    "configuration that is a list": (overwrite("config.json", b"[]"), r"config\.json holds no JSON object"),
    "configuration with odd values": (config_says(hidden_size="wide"), r"'.*model'.*hidden_size"),
    "unknown kind": (config_says(model_type="berd"), r"model type 'berd'.*transformers [\d.]+ does not know it"),
    "kind with its own code": (config_says(model_type="x", auto_map={}), r"its own code, which emotune never runs"),
    "no kind": (overwrite("config.json", b"{}"), r"model type None"),
    "kind without a text classifier": (config_says(model_type="clip"), r"'clip', for which transformers has no text"),
    "an adapter": (adapter, r"is an adapter.*trained from: bert-base-uncased"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damaged_folder_is_refused(what: str, folder: Path) -> None:
    damage, message = DAMAGES[what]
    damage(folder)
    with pytest.raises(ModelError, match=message) as raised:
        load_base(folder, labels=LABELS, max_length=32)
    assert len(str(raised.value).splitlines()) <= 3


def test_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    from transformers import BertTokenizer

    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])}
    vocabulary |= {f"word{i}": len(vocabulary) + i for i in range(900)}
    BertTokenizer(vocab=vocabulary).save_pretrained(folder)
    with pytest.raises(ModelError, match=r"tokenizer has 905 tokens, its model embeddings for 491"):
        load_base(folder, labels=LABELS, max_length=32)


def test_length_below_any_use_is_refused(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match="max_length is 2; expected a whole number of at least 8"):
        load_base(tiny_bert, labels=LABELS, max_length=2)


@pytest.mark.parametrize("max_length", [65])
def test_length_that_the_model_has_no_positions_for_is_refused(max_length: int, tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match=rf"{max_length} tokens does not fit .*, which takes from 3 to 64\."):
        load_base(tiny_bert, labels=LABELS, max_length=max_length)


@pytest.mark.parametrize(
    "name",
    ["./missing", "../missing", "/missing/model", "~/missing-model", "models/bert/", "a/b/c", "a\\b", Path("missing")],
)
def test_missing_folder_is_not_looked_for_on_the_hub(
    name: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"There is no folder"):
        load_base(name, labels=LABELS)


@pytest.mark.parametrize("name", ["", "bert base", "owner/na:me", "bert\x1b[31m"])
def test_name_that_is_neither_folder_nor_id_is_refused(name: str) -> None:
    with pytest.raises(ModelError):
        load_base(name, labels=LABELS)


def test_file_in_place_of_a_folder_is_refused(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match=r"is a file\. Give the folder"):
        load_base(tiny_bert / "model.safetensors", labels=LABELS)


def test_revision_of_a_folder_is_refused_rather_than_ignored(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match="no revisions"):
        load_base(tiny_bert, labels=LABELS, revision="main")


@pytest.mark.parametrize("labels", [(), ("joy",), ("joy", "joy")])
def test_labels_that_cannot_be_told_apart_are_refused(labels: tuple[str, ...], tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match="at least two labels"):
        load_base(tiny_bert, labels=labels)


class TestTokenizerAlone:
    def test_is_that_of_the_model_and_needs_no_weights(self, tiny_bert: Path, folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        alone = load_tokenizer(folder, max_length=32)
        whole = load_base(tiny_bert, labels=LABELS, max_length=32).tokenizer
        assert alone(TEXTS)["input_ids"] == whole(TEXTS)["input_ids"]
        assert alone.name_or_path == "model"

    def test_of_the_bundled_model(self) -> None:
        tokenizer = load_tokenizer("bundled:minilm")
        assert tokenizer("hello world")["input_ids"] == [101, 7592, 2088, 102]
        assert tokenizer.name_or_path == HUB_ID

    @pytest.mark.parametrize(
        "what",
        [
            "no configuration",
            "no tokenizer",
            "a damaged tokenizer",
            "unknown kind",
            "kind with its own code",
            "an adapter",
        ],
    )
    def test_of_a_damaged_folder_is_refused(self, what: str, folder: Path) -> None:
        damage, message = DAMAGES[what]
        damage(folder)
        with pytest.raises(ModelError, match=message):
            load_tokenizer(folder, max_length=32)

    @pytest.mark.parametrize("values", [{"hidden_size": "wide"}, {"num_attention_heads": 5}])
    def test_of_a_configuration_that_makes_no_model_is_refused(self, values: dict[str, Any], folder: Path) -> None:
        edit_config(folder, **values)
        with pytest.raises(ModelError, match=r"'.*model'.*config\.json"):
            load_tokenizer(folder, max_length=32)

    @pytest.mark.parametrize("max_length", [65, 2, -1])
    def test_with_a_length_that_the_model_does_not_take_is_refused(self, max_length: int, tiny_bert: Path) -> None:
        with pytest.raises(ModelError, match=rf"{max_length} tokens does not fit .*, which takes from 3 to 64\."):
            load_tokenizer(tiny_bert, max_length=max_length)

    def test_revision_of_a_folder_is_refused_rather_than_ignored(self, tiny_bert: Path) -> None:
        with pytest.raises(ModelError, match="no revisions"):
            load_tokenizer(tiny_bert, revision="main")


def hold_only(*names: str) -> Callable[[Path], None]:
    """Replace the weights by files of other kinds."""

    def damage(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(b"weights")

    return damage


class TestWeightsOfAnotherKind:
    @pytest.mark.parametrize(
        ("files", "said"),
        [
            (
                ("model.onnx",),
                r"holds only ONNX weights \(model\.onnx\)\.\nIt cannot be trained\. Give the model that it was",
            ),
            (
                ("onnx/model_quantized.onnx", "training_args.bin"),
                r"holds only ONNX weights \(onnx/model_quantized\.onnx\)",
            ),
            (("openvino_model.xml", "openvino_model.bin"), r"holds only OpenVINO weights \(openvino_model\.xml\)"),
            (("model-q4.gguf",), r"holds only GGUF weights \(model-q4\.gguf\)"),
            (
                ("tf_model.h5",),
                r"holds only TensorFlow weights \(tf_model\.h5\)\.\nConvert it with transformers 4.*from_tf=True",
            ),
            (("flax_model.msgpack",), r"holds only Flax weights \(flax_model\.msgpack\)\.\n.*from_flax=True"),
            (
                ("model.fp16.safetensors",),
                r"it has model\.fp16\.safetensors\.\nIf that holds the whole model, copy it to",
            ),
        ],
    )
    def test_is_named_and_no_file_that_is_not_there(self, files: tuple[str, ...], said: str, folder: Path) -> None:
        hold_only(*files)(folder)
        with pytest.raises(ModelError, match=said) as raised:
            load_base(folder, labels=LABELS, max_length=32)
        assert ".bin" not in str(raised.value)

    def test_is_not_named_where_pickled_weights_can_be_converted(self, folder: Path) -> None:
        hold_only("model.onnx", "tf_model.h5", "pytorch_model.bin")(folder)
        with pytest.raises(ModelError, match=r"it has pytorch_model\.bin\.\n.*Convert one"):
            load_base(folder, labels=LABELS, max_length=32)


class TestConversion:
    """A class that drops the trained head would convert another model than the one that was given."""

    @pytest.mark.parametrize("file", ["pytorch_model.bin", "tf_model.h5", "flax_model.msgpack"])
    @pytest.mark.parametrize(
        ("architectures", "expected"),
        [
            (["BertForSequenceClassification"], "AutoModelForSequenceClassification"),
            (["BertForMaskedLM"], "AutoModel"),
            (None, "AutoModel"),
        ],
    )
    def test_keeps_a_trained_head(
        self, file: str, architectures: list[str] | None, expected: str, folder: Path
    ) -> None:
        hold_only(file)(folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps({**config, "architectures": architectures}), encoding="utf-8")
        with pytest.raises(ModelError) as raised:
            load_base(folder, labels=LABELS, max_length=32)
        assert re.search(r"AutoModel\w*", str(raised.value))[0] == expected  # type: ignore[index]


@pytest.mark.parametrize("name", ["~no-such-user/model", "x" * 300])
def test_name_that_the_system_cannot_look_up_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_base(name, labels=LABELS)


class TestOutputOfATrainer:
    @pytest.fixture
    def output(self, tiny_bert: Path, tmp_path: Path) -> Path:
        for step in (5, 10, 100):
            shutil.copytree(tiny_bert, tmp_path / "out" / f"checkpoint-{step}")
        (tmp_path / "out" / "checkpoint-1000").mkdir()  # was interrupted while it was written
        (tmp_path / "out" / "checkpoint-last").mkdir()
        return tmp_path / "out"

    @pytest.mark.parametrize("has_config", [False, True])
    def test_names_its_newest_checkpoint(self, has_config: bool, output: Path, tiny_bert: Path) -> None:
        if has_config:
            shutil.copy(tiny_bert / "config.json", output)
        with pytest.raises(ModelError, match=r"output folder of a Trainer.*\n.*the newest: .*/out/checkpoint-100$"):
            load_base(output, labels=LABELS, max_length=32)

    def test_a_checkpoint_is_a_model(self, output: Path) -> None:
        assert load_base(output / "checkpoint-100", labels=LABELS, max_length=32).name == "checkpoint-100"


class TestAdapterAsBase:
    @pytest.mark.slow
    def test_of_peft_says_how_it_becomes_a_model(self, tiny_bert: Path, tmp_path: Path) -> None:
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForSequenceClassification

        plain = AutoModelForSequenceClassification.from_pretrained(tiny_bert, num_labels=3)
        config = LoraConfig(task_type="SEQ_CLS", target_modules=["query"], modules_to_save=["classifier"])
        get_peft_model(plain, config).save_pretrained(tmp_path / "adapter")
        with pytest.raises(
            ModelError, match=rf"is an adapter.*trained from: {tiny_bert}\.\nOr merge the two"
        ) as raised:
            load_base(tmp_path / "adapter", labels=LABELS, max_length=32)
        run_remedy(raised.value, tmp_path, N="3")
        for file in tiny_bert.glob("tokenizer*"):
            shutil.copy(file, tmp_path / "NEW")
        assert load_base(tmp_path / "NEW", labels=LABELS, max_length=32).name == "NEW"


def run_remedy(error: Exception, folder: Path, **given: str) -> None:
    """Run the command of a message's last line in a folder, with what it leaves open filled in."""
    command = str(error).splitlines()[-1]
    assert command.startswith('python -c "')
    code = command.removeprefix('python -c "').removesuffix('"')
    for name, value in given.items():
        code = re.sub(rf"\b{name}\b", value, code)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
