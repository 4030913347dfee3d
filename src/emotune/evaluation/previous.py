"""The model of an earlier run, scored on the test rows of a new one, and what it has seen of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotune.data.dataset import Split
from emotune.evaluation.comparison import SeenRows
from emotune.evaluation.evaluate import evaluate
from emotune.evaluation.scores import Evaluation
from emotune.folder.fingerprints import Fingerprints
from emotune.folder.format import Description
from emotune.folder.load import load_saved
from emotune.folder.tuned import TunedClassifier
from emotune.inference.forward import compute_logits
from emotune.models.encoding import encode
from emotune.system.errors import ArtifactError, DataError
from emotune.system.progress import Progress
from emotune.system.wording import listed

# Names of other models in the tables of a run.
_TAKEN = ("tuned", "base", "majority class", "TF-IDF")


@dataclass(frozen=True, eq=False)
class Previous:
    """A saved folder to compare a new run with.

    Attributes:
        folder: The folder.
        description: Its `emotune.json`.
        fingerprints: Hashes of what it was trained on; None if they are not known.
        unknown: The reason for that, a clause, or "".
    """

    folder: Path
    description: Description
    fingerprints: Fingerprints | None
    unknown: str = ""

    @property
    def name(self) -> str:
        """The model's name in tables."""
        name = self.folder.resolve().name
        return f"{name} (before)" if name in _TAKEN else name

    def check_labels(self, labels: tuple[str, ...]) -> None:
        """Refuse data with other labels, since the two models could not be compared on it.

        Raises:
            DataError: The labels, or their order, are not the model's.
        """
        own = self.description.labels
        if labels == own:
            return
        missing, new = [x for x in own if x not in labels], [x for x in labels if x not in own]
        faults = [f"the new training rows lack {listed(missing)}"] if missing else []
        faults += [f"they also have {listed(new)}" if missing else f"the new training rows also have {listed(new)}"] * (
            len(new) > 0
        )
        raise DataError(
            f"Cannot compare with '{self.name}': its labels are {listed(own)}; "
            f"{'; '.join(faults) or 'the new labels have another order (data.labels)'}.\n"
            "Two models are compared on the same rows, so both need the same labels. For a run with the same settings on other labels, "
            "save them with --show-config, remove data.labels, and give the file with --config instead of --from-folder."
        )

    def score(self, split: Split, *, base: str | None, device: str, progress: Progress) -> Evaluation:
        """Load the model, and score it on a split.

        Args:
            split: The rows.
            base: Location of its base model, if that was a local folder.
            device: Device to score on.
            progress: Shows a bar.

        Raises:
            ArtifactError: The folder is damaged, or the base model is not the one that it was trained on.
        """
        classifier = load_saved(self.folder, base=base if self.description.base_model.source is None else None)
        self._check_logits(classifier)
        classifier.model.to(device)
        return evaluate(classifier, split, name=self.name, progress=progress)

    def seen(self, split: Split) -> SeenRows:
        """Return the rows of a split that the model was trained or chosen on."""
        none = np.empty(0, np.int64)
        if self.fingerprints is None:
            return SeenRows(none, none, self.unknown)
        trained = self.fingerprints.trained_on(split.texts)
        chosen = self.fingerprints.chosen_on(split.texts) & ~trained
        return SeenRows(np.flatnonzero(trained), np.flatnonzero(chosen))

    def figures(self, seen: SeenRows) -> dict[str, Any]:
        """Return the entry of `emotune.json`."""
        known = self.fingerprints is not None
        return {
            "name": self.folder.resolve().name,
            "data": None if self.description.data is None else self.description.data.fingerprint,
            "trained_on": len(seen.trained) if known else None,
            "chosen_on": len(seen.chosen) if known else None,
        }

    def _check_logits(self, classifier: TunedClassifier) -> None:
        """Refuse a model that is not the saved one, such as one with another base of the same shape."""
        probes = self.description.verification
        logits = compute_logits(
            classifier.model, encode(classifier.tokenizer, probes.inputs, classifier.max_length, classifier.windows)
        )
        difference = float(np.abs(logits - np.asarray(probes.logits)).max())
        if not difference <= probes.tolerance:
            raise ArtifactError(
                f"'{self.folder}' does not give the logits that it was saved with: they differ by up to {difference:.3g} "
                f"(at most {probes.tolerance:g} passes). Its files have changed, or its base model is another one"
                f"{' than --model names' if self.description.base_model.source is None else ''}."
            )
