"""Fixtures for every test: a tiny BERT and its tokenizer, made on the spot, and a small data set that it can learn.

Tests never leave the machine: unless the real data was asked for by its Hub id, the Hugging Face libraries are told to
stay offline and get an empty cache. This happens at import, because they read their settings only once.
"""

from __future__ import annotations

import atexit
import os
import random
import shutil
import string
import tempfile
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from transformers import BertTokenizer

    from emotune.data.dataset import Split, TextDataset
    from emotune.models.classifier import Classifier
    from emotune.training.options import TrainingOptions

EMOTIONS = ("sadness", "joy", "love", "anger", "fear", "surprise")


def _find_real_data() -> str | None:
    """The real emotion data's folder as an absolute path (tests may change directory), or its Hub id, or None."""
    source = os.environ.get("EMOTUNE_EMOTION_DATA")
    if not source:
        return None
    folder = Path(source)
    return str(folder.resolve()) if folder.exists() else source


REAL_DATA = _find_real_data()

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "2")
if REAL_DATA is None or Path(REAL_DATA).is_absolute():
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="emotune-tests-")
    atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)


# The made-up language: words of two syllables. The first ones belong to a label, the others to none.
_SYLLABLES = tuple(consonant + vowel for consonant, vowel in product("bdfgklmnprstvz", "aeiou"))
_WORDS = tuple(first + second for first, second in zip(_SYLLABLES * 5, _SYLLABLES[7:] * 6, strict=False))
_WORDS_A_LABEL = 8
_LABEL_WORDS = {emotion: _WORDS[i * _WORDS_A_LABEL : (i + 1) * _WORDS_A_LABEL] for i, emotion in enumerate(EMOTIONS)}
_FILLERS = _WORDS[len(EMOTIONS) * _WORDS_A_LABEL :]


@pytest.fixture(scope="session")
def tiny_tokenizer() -> BertTokenizer:
    """A BERT WordPiece tokenizer: the made-up words whole, all other ASCII words letter by letter."""
    from transformers import BertTokenizer

    characters = string.ascii_lowercase + string.digits + string.punctuation
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{c}" for c in characters), *_WORDS]
    return BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, model_max_length=64)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: BertTokenizer) -> Path:
    """A folder with a two-layer BERT encoder of random weights (no classification head) and its tokenizer.

    It takes texts of up to 64 tokens. Read it, and copy it before changing anything.
    """
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.1,  # wide enough that random features tell the words apart
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = BertModel(config)
    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    encoder.save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_data() -> TextDataset:
    """Six emotions, 120 training, 36 validation and 36 test rows: three words of the label among three fillers."""
    from emotune.data.dataset import TextDataset

    generator = random.Random(0)
    train, validation, test = (
        _made_up_split(name, rows, generator) for name, rows in (("train", 120), ("validation", 36), ("test", 36))
    )
    return TextDataset(name="tiny", labels=EMOTIONS, train=train, validation=validation, test=test)


@pytest.fixture(scope="session")
def tiny_options() -> TrainingOptions:
    """How the tiny model learns the tiny data in a second or two: small batches, a high rate, float32 on the processor."""
    from emotune.training.options import TrainingOptions

    return TrainingOptions(epochs=12, learning_rate=8e-3, batch_tokens=128, patience=12, precision="fp32", device="cpu")


@pytest.fixture(scope="session")
def tiny_base(tiny_bert: Path, tiny_data: TextDataset) -> Classifier:
    """The tiny model with an untrained head. Shared: copy the model before changing anything."""
    from emotune.models.load import load_base

    return load_base(tiny_bert, labels=tiny_data.labels, max_length=32)


@pytest.fixture(scope="session")
def tiny_tuned(tiny_base: Classifier, tiny_data: TextDataset, tiny_options: TrainingOptions) -> Classifier:
    """The tiny model, tuned on the tiny data. Shared: copy the model before changing anything."""
    from emotune.training.finetune import finetune

    return finetune(tiny_base, tiny_data, options=tiny_options)


@pytest.fixture(scope="session")
def tiny_saved(tiny_tuned: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tuned tiny model. Shared: copy it before changing anything."""
    return tiny_tuned.save(tmp_path_factory.mktemp("saved") / "tuned")


@pytest.fixture(scope="session")
def real_data() -> str:
    """Where the real emotion data is: a folder or a Hub id. Skips the test where none is given."""
    if REAL_DATA is None:
        pytest.skip("EMOTUNE_EMOTION_DATA is not set: it names the folder or the Hub id of the real emotion data")
    return REAL_DATA


def _made_up_split(name: str, rows: int, generator: random.Random) -> Split:
    """Rows with the labels in turn, so that every class has equally many."""
    import numpy as np

    from emotune.data.dataset import Split

    label_ids = np.arange(rows, dtype=np.int64) % len(EMOTIONS)
    texts = []
    for label_id in label_ids:
        words = generator.sample(_LABEL_WORDS[EMOTIONS[label_id]], 3) + generator.sample(_FILLERS, 3)
        generator.shuffle(words)
        texts.append(" ".join(words))
    return Split(name=name, texts=tuple(texts), label_ids=label_ids, labels=EMOTIONS)
