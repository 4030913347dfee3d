"""Verify a saved folder: load it in a fresh process and require the logits and labels it was saved with.

`python -m emotune.folder.verify FOLDER` is that fresh process; `verify` starts it.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.system.errors import ArtifactError, EmotuneError, VerificationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emotune.models.classifier import Classifier


@dataclass(frozen=True)
class Verification:
    """The outcome of a check.

    Attributes:
        rows: Texts whose predictions were computed again: the probes and the saved test rows.
        largest_difference: The largest absolute difference of a logit of the probes or of a probability of the test rows; infinite where
            a value is not a number.
        tolerance: The largest difference that passes.
        changed_labels: Test rows whose label differs.
        changed_files: Files whose content is not what was saved.
        missing_files: Files that are gone.
        probe_difference: The largest absolute difference of a logit of the probes alone: what says most of the model.
    """

    rows: int
    largest_difference: float
    tolerance: float
    changed_labels: int
    changed_files: tuple[str, ...]
    missing_files: tuple[str, ...] = ()
    probe_difference: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether everything is as it was saved."""
        return self.same_predictions and not self.changed_files and not self.missing_files

    @property
    def same_predictions(self) -> bool:
        """Whether what was computed is what was saved, on the probes and on the saved test rows."""
        return self.largest_difference <= self.tolerance and not self.changed_labels


def verify(folder: str | Path, *, base: str | Path | None = None) -> Verification:
    """Check a saved folder in a fresh process.

    Args:
        folder: What `save` or `emotune run` wrote.
        base: Where the base model is, if the folder cannot say.

    Returns:
        The outcome, always a good one.

    Raises:
        ArtifactError: The folder is incomplete or damaged.
        VerificationError: Predictions or files differ from what was saved, or predictions are gone.
    """
    command = [
        sys.executable,
        "-P",
        "-m",
        "emotune.folder.verify",
        str(folder),
        *([str(base)] if base is not None else []),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = done.stdout.strip().splitlines()[-1:] or [""]
    if done.returncode == 2:
        raise ArtifactError(last[0])
    if done.returncode != 0:
        raise VerificationError(f"Loading '{folder}' in a fresh process failed:\n{done.stderr.strip()[-2000:]}")
    found = json.loads(last[0])
    lists = {name: tuple(found[name]) for name in ("changed_files", "missing_files")}
    result = Verification(**{**found, **lists})
    if not result.ok:
        raise VerificationError(in_words(result, folder))
    return result


def in_words(found: Verification, folder: str | Path) -> str:
    """What a check that failed has found, in three lines: of the folder, of the model in it, and what to do.

    Args:
        found: The outcome of the check.
        folder: The folder, for the message.
    """
    from emotune.folder.artifact import PREDICTIONS
    from emotune.system.wording import counted

    lists = (("changed", found.changed_files), ("missing", found.missing_files))
    files = "; ".join(f"{how} files: {', '.join(names)}" for how, names in lists if names)
    model_changed = set(found.changed_files + found.missing_files) - {PREDICTIONS}
    same_logits = found.probe_difference <= found.tolerance
    model = (
        f"The model's files are {'changed' if model_changed else 'unchanged'}, and its logits are {'' if same_logits else 'not '}"
        f"those it was saved with: the largest difference is {found.probe_difference:.3g} (at most {found.tolerance:g} passes)."
    )
    if not found.same_predictions:
        model += (
            f" Over {found.rows} texts the largest difference is {found.largest_difference:.3g}, "
            f"with {counted(found.changed_labels, 'label')} changed."
        )
    # Predictions that are gone or were changed say nothing against a model which is as it was.
    if same_logits and not model_changed and PREDICTIONS in found.changed_files + found.missing_files:
        remedy = f"The model can be used. Restore {PREDICTIONS}, or train again, before it is compared or reproduced."
    else:
        remedy = "Do not use this folder: train again, or restore its files."
    return (
        f"'{folder}' is not as it was saved: {files or 'its files are, but not what it computes'}.\n{model}\n{remedy}"
    )


def check(folder: str | Path, base: str | Path | None = None) -> Verification:
    """Check a saved folder in this process.

    Args:
        folder: What `save` wrote.
        base: Where the base model is, if the folder cannot say.

    Raises:
        ArtifactError: The folder is incomplete or damaged.
    """
    import numpy as np

    from emotune.evaluation.saved import numbers_of, read_table
    from emotune.evaluation.scores import softmax
    from emotune.folder.artifact import PREDICTIONS, load, read_description, sha256

    folder = Path(folder)
    description = read_description(folder)
    saved_files = description["files"]
    missing_files = tuple(name for name in saved_files if not (folder / name).is_file())
    changed_files = tuple(
        name for name, digest in saved_files.items() if name not in missing_files and sha256(folder / name) != digest
    )
    classifier = load(folder, base=base)
    probes = description["verification"]
    logits = plain_logits(classifier, probes["texts"])
    difference = probe_difference = _largest_difference(logits, np.asarray(probes["logits"]))
    rows = len(probes["texts"])
    changed_labels = 0
    if (folder / PREDICTIONS).is_file():
        table = read_table(folder / PREDICTIONS, classifier.labels)
        texts, labels = table["text"], table["prediction"]
        saved = numbers_of(table, classifier.labels, folder / PREDICTIONS)
        again = softmax(plain_logits(classifier, texts))
        found = [classifier.labels[best] for best in again.argmax(axis=1)]
        changed_labels = sum(a != b for a, b in zip(found, labels, strict=True))
        difference = max(difference, _largest_difference(again, saved))
        rows += len(texts)
    return Verification(
        rows, difference, probes["tolerance"], changed_labels, changed_files, missing_files, probe_difference
    )


def _largest_difference(found: NDArray[Any], saved: NDArray[Any]) -> float:
    """The largest absolute difference; infinite where a value is not a number, which `max` would pass over."""
    import numpy as np

    largest = float(np.abs(found - saved).max())
    return math.inf if math.isnan(largest) else largest


def plain_logits(classifier: Classifier, texts: list[str]) -> NDArray[np.float32]:
    """Logits from the model as transformers and PEFT wrote it: what was saved came from the fast path, so this checks both."""
    from emotune.inference.forward import compute_logits
    from emotune.models.encoding import encode

    encoded = encode(classifier.tokenizer, texts, classifier.max_length)
    return compute_logits(classifier.model, encoded, fast=False)


def _main() -> int:
    folder, base = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    try:
        result = check(folder, base)
    except EmotuneError as error:
        sys.stdout.write(" ".join(str(error).split()) + "\n")
        return 2
    sys.stdout.write(json.dumps(asdict(result)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
