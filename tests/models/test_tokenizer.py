"""Tokenizers that are published as SentencePiece models alone: they load, and give the ids that SentencePiece gives."""

from __future__ import annotations

import importlib.util
import random
import shutil
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emotune.folder.base import load_base
from emotune.folder.load import load
from emotune.inference.predict import predict
from emotune.methods.lora import LoRA
from emotune.models.load import load_tokenizer
from emotune.system.errors import ModelError
from emotune.training.finetune import finetune
from emotune.training.options import TrainingOptions

from ..tiny_models import LINES, SENTENCEPIECE, make_sentencepiece_folder

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset

TEXTS = (
    *LINES,
    "Nobody came… at ﬁve o'clock",  # an ellipsis and a ligature
    "\uff41\uff42\uff43  hi\tthere",  # full width
    "1,000,000 times, a-b; xyz 🙂 q",
    " leading, trailing and  double spaces ",
    "l'e\u0301te\u0301 ½ CAFÉ",  # accents apart from their letters
    "日本 keys",
)


@pytest.fixture(scope="module", params=SENTENCEPIECE)
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, called by its family, with the tokenizer in a SentencePiece model alone. Shared: copy it before changing anything."""
    return make_sentencepiece_folder(request.param, tmp_path_factory.mktemp("published") / request.param)


def own_ids(folder: Path, text: str) -> list[int]:
    """The ids by SentencePiece itself, moved as the family's published models have them, between its special tokens."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / SENTENCEPIECE[folder.name][0]))
    if folder.name == "albert":  # lower case, without accents
        apart = unicodedata.normalize("NFKD", " ".join(text.split()).replace("``", '"').replace("''", '"'))
        text = "".join(character for character in apart if not unicodedata.combining(character)).lower()
    ids = processor.encode(text)
    match folder.name:
        case "albert":
            return [2, *ids, 3]
        case "deberta-v2":
            return [1, *ids, 2]
        case "xlm-roberta":  # <s>, <pad>, </s>, <unk> come first
            return [0, *(number + 1 if number else 3 for number in ids), 2]
    # CamemBERT has five of its own first, and SentencePiece's <s> and </s> after them
    return [5, *(number + 4 if number else 3 for number in ids), 6]


def test_gives_the_ids_of_sentencepiece(published: Path) -> None:
    tokenizer = load_tokenizer(published, max_length=32)
    for text in TEXTS:
        assert tokenizer(text)["input_ids"] == own_ids(published, text), text


@pytest.fixture(scope="module")
def own_data() -> TextDataset:
    """Lines in two languages, told apart by their label."""
    from emotune.data.dataset import Split, TextDataset

    chooser = random.Random(0)
    labels = ("english", "other")

    def split(name: str, rows: int) -> Split:
        numbers = [chooser.randrange(8) if row % 2 == 0 else 8 + chooser.randrange(4) for row in range(rows)]
        texts = tuple(f"{LINES[number]} {row}" for row, number in enumerate(numbers))
        return Split(name, texts, np.array([int(number >= 8) for number in numbers], np.int64), labels)

    return TextDataset("lines", labels, split("train", 24), split("validation", 8), split("test", 8))


@pytest.mark.slow
def test_is_trained_saved_and_loaded(published: Path, own_data: TextDataset, tmp_path: Path) -> None:
    base = load_base(published, labels=own_data.labels, max_length=32)
    options = TrainingOptions(epochs=1, learning_rate=1e-3, precision="fp32", device="cpu")
    tuned = finetune(base, own_data, LoRA(r=2), options)
    again = load(tuned.save(tmp_path / "tuned"), base=published)
    for text in TEXTS:  # from the saved folder alone
        assert again.tokenizer(text)["input_ids"] == own_ids(published, text), text
    before, after = (predict(classifier, TEXTS) for classifier in (tuned, again))
    np.testing.assert_array_equal(before.probabilities, after.probabilities)


def test_the_table_of_characters_is_kept_where_there_is_a_whole_tokenizer_too(tmp_path: Path) -> None:
    """As others publish DeBERTa-v3: tokenizer.json, whose table transformers leaves out."""
    folder = make_sentencepiece_folder("deberta-v2", tmp_path / "deberta-v2")
    load_tokenizer(folder, max_length=32).save_pretrained(tmp_path / "whole")
    shutil.copy(tmp_path / "whole" / "tokenizer.json", folder)
    tokenizer = load_tokenizer(folder, max_length=32)
    for text in TEXTS:
        assert tokenizer(text)["input_ids"] == own_ids(folder, text), text


def test_without_a_table_the_family_s_own_tokenizer_stays(tmp_path: Path) -> None:
    folder = make_sentencepiece_folder("deberta-v2", tmp_path / "deberta-v2", normalization_rule_name="identity")
    tokenizer = load_tokenizer(folder, max_length=32)
    assert type(tokenizer).__name__ == "DebertaV2Tokenizer"
    for text in LINES:
        assert tokenizer(text)["input_ids"] == own_ids(folder, text), text


class TestRefusal:
    @pytest.mark.parametrize(
        ("missing", "said"),
        [
            ({"sentencepiece"}, r"needs sentencepiece, which is not installed\.\npip install sentencepiece$"),
            (
                {"sentencepiece", "google.protobuf"},
                r"needs sentencepiece and protobuf, which are not installed\.\npip install sentencepiece protobuf$",
            ),
        ],
    )
    def test_where_a_package_is_missing(
        self, missing: set[str], said: str, published: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = importlib.util.find_spec

        def find_spec(name: str, package: str | None = None) -> Any:
            return None if name in missing else found(name, package)

        monkeypatch.setattr("emotune.models.tokenizer.find_spec", find_spec)
        with pytest.raises(ModelError, match=said):
            load_tokenizer(published, max_length=32)

    @pytest.mark.parametrize("content", [b"", b"not a model", bytes(range(256)) * 4])
    def test_where_the_file_is_damaged(self, content: bytes, published: Path, tmp_path: Path) -> None:
        folder = Path(shutil.copytree(published, tmp_path / published.name))
        file = SENTENCEPIECE[folder.name][0]
        (folder / file).write_bytes(content)
        with pytest.raises(ModelError, match=rf"{file} (is damaged|holds no pieces).*\s?Download or copy") as raised:
            load_tokenizer(folder, max_length=32)
        assert "tiktoken" not in str(raised.value)

    @pytest.mark.parametrize("family", SENTENCEPIECE)
    def test_where_it_is_of_merges(self, family: str, tmp_path: Path) -> None:
        folder = make_sentencepiece_folder(family, tmp_path / family, model_type="bpe")
        with pytest.raises(ModelError, match=r"of type BPE.*\n.*tokenizer\.json"):
            load_tokenizer(folder, max_length=32)
