"""Fingerprints of what a model was trained on: what they recognize, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emotune.data.dataset import Split, TextDataset
from emotune.data.duplicates import find_duplicates
from emotune.folder.fingerprints import FINGERPRINTS, Fingerprints, read_fingerprints
from emotune.system.errors import ArtifactError

from ..facts import facts


def data(train: tuple[str, ...], validation: tuple[str, ...]) -> TextDataset:
    def split(name: str, texts: tuple[str, ...]) -> Split:
        return Split(name, texts, np.zeros(len(texts), np.int64), ("a", "b"))

    return TextDataset("d", ("a", "b"), split("train", train), split("validation", validation), split("test", ("x",)))


DATA = data(("I was late again!", "so glad", ":)", "今天很好"), ("never mind",))


def test_texts_are_recognized_up_to_case_and_punctuation(tmp_path: Path) -> None:
    Fingerprints.of(DATA).write(tmp_path / FINGERPRINTS)
    found = read_fingerprints(tmp_path, DATA.fingerprint)
    assert found is not None
    texts = ["i was LATE, again", "I was late", "So glad.", ":)", ":(", "Never mind"]
    assert found.trained_on(texts).tolist() == [True, False, True, True, False, False]
    assert found.chosen_on(texts).tolist() == [False] * 5 + [True]
    words = ["late", "early", "2024", "今", "明"]
    assert found.unseen(words) == {"early", "明"}


def test_they_agree_with_the_search_for_repeats(tiny_data: TextDataset) -> None:
    """Every training text is found, and a test text where the audit's trivial groups say so."""
    found = Fingerprints.of(tiny_data)
    assert found.trained_on(tiny_data.train.texts).all()
    texts = [*tiny_data.train.texts, *tiny_data.test.texts]
    groups = find_duplicates(texts).trivial
    rows = len(tiny_data.train)
    np.testing.assert_array_equal(found.trained_on(tiny_data.test.texts), np.isin(groups[rows:], groups[:rows]))


def test_a_text_takes_6_bytes_and_a_word_4(tmp_path: Path) -> None:
    many = data(tuple(f"a{n}" for n in range(5000)), ("v",))
    path = tmp_path / FINGERPRINTS
    Fingerprints.of(many).write(path)
    assert path.stat().st_size == pytest.approx(5000 * 10, abs=1500)


def test_a_folder_without_them_knows_nothing(tmp_path: Path) -> None:
    assert read_fingerprints(tmp_path, "any") is None


@pytest.mark.parametrize("content", [b"", b"PK\3\4 not really", b"no archive"])
def test_damage_is_noticed(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FINGERPRINTS).write_bytes(content)
    with pytest.raises(ArtifactError, match=facts("is damaged", "works without it")):
        read_fingerprints(tmp_path, "any")


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / FINGERPRINTS
    Fingerprints.of(DATA).write(path)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match="is damaged"):
        read_fingerprints(tmp_path, DATA.fingerprint)


def test_objects_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / FINGERPRINTS, train=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ArtifactError, match="is damaged"):
        read_fingerprints(tmp_path, "any")


def test_those_of_other_data_are_refused(tmp_path: Path) -> None:
    Fingerprints.of(DATA).write(tmp_path / FINGERPRINTS)
    with pytest.raises(ArtifactError, match=facts("other data", DATA.fingerprint[:12])):
        read_fingerprints(tmp_path, "f" * 64)
