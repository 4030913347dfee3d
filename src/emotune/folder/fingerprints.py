"""fingerprints.npz: hashes of a run's training texts and words, so that a saved model knows what it has seen.

The file answers two questions without the data, which may be gone: was the model trained on this text, and does this
word occur in its training texts? It holds no text. But whoever has a text can find out whether it was trained on.

A text takes 6 bytes: for a million training texts and a million others, about 0.004 wrong matches are expected. A word
takes 4 bytes: of the words that training lacks, one in hundred thousand is taken for known among 40,000 known ones.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import TextDataset
from emotune.data.duplicates import single_words, trivial_key
from emotune.system.errors import ArtifactError
from emotune.system.text import reason_of

FINGERPRINTS = "fingerprints.npz"
_TEXT_BYTES, _WORD_BYTES = 6, 4


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Hashes of what a run was trained and chosen on; texts are equal up to case, punctuation and spaces.

    Attributes:
        train: Sorted hashes of the training texts, uint64.
        validation: Sorted hashes of the validation texts, on which the epoch was chosen.
        words: Sorted hashes of the words in the training texts, uint32.
        data: Fingerprint of the data set.
    """

    train: NDArray[np.uint64]
    validation: NDArray[np.uint64]
    words: NDArray[np.uint32]
    data: str

    @classmethod
    def of(cls, data: TextDataset) -> Fingerprints:
        """Return the fingerprints of a data set."""
        words = {word for text in data.train.texts for word in single_words(text)}
        return cls(
            np.unique(_texts_hashed(data.train.texts)),
            np.unique(_texts_hashed(data.validation.texts)),
            np.unique(_hashed(words, _WORD_BYTES).astype(np.uint32)),
            data.fingerprint,
        )

    def trained_on(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return for each text whether it is a training text, shape (texts,)."""
        return np.isin(_texts_hashed(texts), self.train)

    def chosen_on(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return for each text whether it is a validation text, shape (texts,)."""
        return np.isin(_texts_hashed(texts), self.validation)

    def unseen(self, words: Iterable[str]) -> set[str]:
        """Return the distinct words that no training text has. Numbers are left out: most of them are new everywhere."""
        candidates = sorted({word for word in words if not word.isdigit()})
        known = np.isin(_hashed(candidates, _WORD_BYTES).astype(np.uint32), self.words)
        return {word for word, is_known in zip(candidates, known.tolist(), strict=True) if not is_known}

    def write(self, path: Path) -> None:
        """Write the file."""
        np.savez(
            path,
            train=_packed(self.train, _TEXT_BYTES),
            validation=_packed(self.validation, _TEXT_BYTES),
            words=_packed(self.words, _WORD_BYTES),
            data=np.frombuffer(self.data.encode(), np.uint8),
        )


def read_fingerprints(folder: Path, data: str | None) -> Fingerprints | None:
    """Read the fingerprints of a saved folder.

    Args:
        folder: The folder.
        data: The data's fingerprint, as `emotune.json` has it.

    Returns:
        None if the folder has none: emotune 0.1 and `save` wrote none.

    Raises:
        ArtifactError: They are damaged, or those of other data.
    """
    path = folder / FINGERPRINTS
    if not path.is_file():
        return None
    try:
        # Opened here, since NumPy leaves a damaged file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
            fingerprints = Fingerprints(
                _unpacked(found["train"], _TEXT_BYTES),
                _unpacked(found["validation"], _TEXT_BYTES),
                _unpacked(found["words"], _WORD_BYTES).astype(np.uint32),
                found["data"].tobytes().decode("ascii"),
            )
    except (ValueError, KeyError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"'{path}' is damaged: {reason_of(error)}. Restore it, or remove it: the model works without it."
        ) from None
    if fingerprints.data != data:
        raise ArtifactError(
            f"'{path}' is of other data than '{folder}' was trained on: its fingerprint is {fingerprints.data[:12]}…, "
            f"expected {str(data)[:12]}…. Restore it, or remove it: the model works without it."
        )
    return fingerprints


def _texts_hashed(texts: Iterable[str]) -> NDArray[np.uint64]:
    return _hashed(map(trivial_key, texts), _TEXT_BYTES)


def _hashed(values: Iterable[str], size: int) -> NDArray[np.uint64]:
    return np.fromiter(
        (
            int.from_bytes(blake2b(value.encode("utf-8", "surrogatepass"), digest_size=size).digest(), "little")
            for value in values
        ),
        np.uint64,
    )


def _packed(values: NDArray[np.unsignedinteger], size: int) -> NDArray[np.uint8]:
    """Return the lowest bytes of numbers, shape (numbers, size)."""
    return np.ascontiguousarray(values.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :size])


def _unpacked(packed: NDArray[np.uint8], size: int) -> NDArray[np.uint64]:
    """Return the numbers of `_packed`.

    Raises:
        ValueError: The array is of another shape or type.
    """
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != size:
        raise ValueError(f"an array of {packed.dtype}, shape {packed.shape}; expected bytes, shape (n, {size})")
    wide = np.zeros((len(packed), 8), np.uint8)
    wide[:, :size] = packed
    return wide.view("<u8").reshape(-1).astype(np.uint64)
