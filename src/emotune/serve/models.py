"""The held set of served models, by name: opened together over one copy of each base, and reloaded one by one."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from emotune.folder.many import SharedBases
from emotune.folder.saved import SavedFolder
from emotune.inference.predictor import Predictor
from emotune.system.errors import ArtifactError, ConfigError
from emotune.system.output import DESCRIPTION
from emotune.system.progress import SILENT, Progress
from emotune.system.wording import counted, in_full, listed
from emotune.tasks.calibration import Temperature

if TYPE_CHECKING:
    from emotune.engine.linear import CommonWeights

REPORT = "report.html"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_NAMED = re.compile(r"([A-Za-z0-9._-]+)=(.+)", re.DOTALL)


class ModelInfo(BaseModel):
    """What the service tells about a model.

    Attributes:
        name: Its name in routes.
        labels: Label names, in the order of the logits.
        task: The kind of label.
        base: The name of the base model.
        method: The method of fine-tuning.
        max_length: Tokens per text; longer texts are cut.
        pairs: True if it takes pairs of texts.
        calibrated: True if it has a temperature, so that calibrated probabilities can be asked for.
        report: True if the folder holds the report of its run.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    labels: tuple[str, ...]
    task: str
    base: str
    method: str
    max_length: int
    pairs: bool
    calibrated: bool
    report: bool


@dataclass(frozen=True, eq=False)
class Served:
    """One served model. Requests that have begun keep theirs when the folder is reloaded.

    Attributes:
        name: Its name in routes.
        folder: Its saved folder.
        classifier_info: What the service tells about it.
        predictor: The model, ready for prediction, with the probabilities of plain transformers.
        temperature: Divisor of the logits for calibrated probabilities, or None.
        digest: SHA-256 of the folder's description, which holds the checksums of its files.
    """

    name: str
    folder: Path
    classifier_info: ModelInfo
    predictor: Predictor
    temperature: Temperature | None
    digest: str

    def probabilities(self, logits: NDArray[np.float32], *, calibrated: bool = False) -> NDArray[np.float64]:
        """Return the task's probabilities of logits, shape (texts, classes)."""
        return self.predictor.task.probabilities(logits, self.temperature if calibrated else None)


class Models:
    """Served models by name. Reading is safe from any thread; `reload` may run beside it.

    If several folders use one base model, they share its matrices, and their adapters are computed beside them: each
    takes the memory of its adapter, and some more time per text. A base with one folder gets its adapter merged.

    Args:
        folders: Folders by name, each checked.
        precision: As for `Predictor`.
        device: "cpu", "cuda" or "mps".
        progress: Front end that is told how int8 compares with fp32.

    Attributes:
        device: As given.
    """

    def __init__(
        self, folders: Mapping[str, SavedFolder], precision: str, device: str, progress: Progress = SILENT
    ) -> None:
        self._precision = precision
        self._progress = progress
        self.device = device
        self._given = {name: saved.given for name, saved in folders.items()}
        self._served: dict[str, Served] = {}
        self._loading = threading.Lock()
        users = Counter(_base_of(saved) for saved in folders.values())
        self._shared: dict[tuple[str, str | None], tuple[SharedBases, CommonWeights]] = {}
        if device == "cpu":
            from emotune.engine.linear import CommonWeights

            self._shared = {
                base: (SharedBases(), CommonWeights())
                for base, number in users.items()
                if base is not None and number > 1
            }
        for name, saved in folders.items():
            self._served[name] = self._load(name, saved)

    @classmethod
    def open(
        cls,
        folders: Iterable[str | Path],
        *,
        base: str | Path | None = None,
        precision: str = "auto",
        device: str = "cpu",
        progress: Progress = SILENT,
    ) -> Models:
        """Load saved folders.

        Args:
            folders: The folders, each as its path or as "name=path"; without a name it gets that of the folder.
            base: As for `load_many`.
            precision: As for `Predictor`.
            device: "cpu", "cuda", "mps", or "auto" for the first available of cuda, mps and cpu.
            progress: Front end that is told how int8 compares with fp32.

        Raises:
            ArtifactError: A folder is incomplete or damaged, or does not give its saved predictions.
            ConfigError: Names that are not valid or occur twice, or a precision or device that is not available.
            ModelError: A base model cannot be loaded.
            HubError: A base model is on the Hub, and the Hub cannot be reached.
        """
        checked = check_folders(folders, base)
        from emotune.system.precision import choose_device

        return cls(checked, precision, choose_device(device), progress)

    def __iter__(self) -> Iterator[Served]:
        return iter(tuple(self._served.values()))

    def __len__(self) -> int:
        return len(self._served)

    @property
    def base(self) -> str | Path | None:
        """The location of the base model that was given for the folders, if any."""
        return next(iter(self._given.values()))

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of the folders."""
        return tuple(self._served)

    def get(self, name: str) -> Served:
        """Return a model.

        Raises:
            KeyError: There is none of this name.
        """
        return self._served[name]

    def reload(self, name: str) -> bool:
        """Load a folder again if it has changed, and serve the new model once it is ready.

        Returns:
            True if it had changed. If it cannot be loaded, the old model stays.

        Raises:
            EmotuneError: The new folder cannot be loaded.
            KeyError: There is no model of this name.
        """
        with self._loading:
            old = self._served[name]
            if _digest(old.folder) == old.digest:
                return False
            self._served[name] = self._load(name, SavedFolder.checked(old.folder, self._given[name]))
            return True

    def _load(self, name: str, saved: SavedFolder) -> Served:
        digest = _digest(saved.folder)
        base = _base_of(saved)
        bases, common = (SharedBases(), None) if base not in self._shared else self._shared[base]
        classifier = bases.classifier(saved)
        classifier.model.to(self.device)
        predictor = Predictor(classifier, precision=self._precision, common=common, progress=self._progress)
        _check_probes(saved, predictor)
        info = ModelInfo(
            name=name,
            labels=saved.labels,
            task=saved.task.name,
            base=classifier.name,
            method=saved.method.title,
            max_length=saved.max_length,
            pairs=bool(classifier.pairs),
            calibrated=classifier.temperature is not None,
            report=(saved.folder / REPORT).is_file(),
        )
        return Served(name, saved.folder, info, predictor, classifier.temperature, digest)


def check_folders(folders: Iterable[str | Path], base: str | Path | None = None) -> dict[str, SavedFolder]:
    """Return folders by name, each found complete; nothing is loaded.

    Args:
        folders: As for `Models.open`.
        base: As for `load_many`.

    Raises:
        ArtifactError: A folder is incomplete.
        ConfigError: A name is not valid, or two folders have the same.
    """
    found: dict[str, SavedFolder] = {}
    for given in folders:
        named = _NAMED.fullmatch(given) if isinstance(given, str) else None
        # A folder whose own name has an equals sign is still that folder.
        if named is not None and not Path(given).is_dir():
            name, path = named[1], Path(named[2])
        else:
            path = Path(given)
            name = path.resolve().name
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"The model of {in_full(path)} would have the name {in_full(name)}, which does not fit into a route. "
                "Give it one of letters, digits, dots, hyphens and underscores: NAME=DIR."
            )
        if name in found:
            raise ConfigError(
                f"{in_full(found[name].folder)} and {in_full(path)} would both have the name '{name}'. "
                "Give one of them another: NAME=DIR."
            )
        found[name] = SavedFolder.checked(path, base)
    if not found:
        raise ConfigError("There is no folder to serve. Give at least one that emotune run saved.")
    return found


def default_name(names: Iterable[str], asked: str | None) -> str:
    """Return the name of the model that routes without a name use: the one asked for, or the first.

    Raises:
        ConfigError: There is none of this name.
    """
    known = tuple(names)
    if asked is not None and asked not in known:
        raise ConfigError(f"--default is {in_full(asked)}, which is not served. Choose one of {listed(known)}.")
    return known[0] if asked is None else asked


def _base_of(saved: SavedFolder) -> tuple[str, str | None] | None:
    """Return what identifies the base model, or None for a whole model, which has its own weights."""
    return (str(saved.base), saved.base_revision) if saved.method.needs_base else None


def _digest(folder: Path) -> str:
    try:
        return hashlib.sha256((folder / DESCRIPTION).read_bytes()).hexdigest()
    except OSError:
        return ""  # the load that follows says what is missing


def _check_probes(saved: SavedFolder, predictor: Predictor) -> None:
    """Compare the logits of the saved probe texts, where the arithmetic is the saved one; this also warms the model up.

    Raises:
        ArtifactError: They differ, so the files are not those of the saved model.
    """
    probes = saved.description.verification
    logits = predictor.logits_of(predictor.encode(probes.inputs))
    predictor.logits_of(predictor.encode(probes.inputs[:1]))
    if predictor.precision != "fp32":
        return
    difference = float(np.abs(logits - np.asarray(probes.logits)).max())
    if not difference <= probes.tolerance:
        raise ArtifactError(
            f"'{saved.folder}' does not give its saved predictions: the logits of its {counted(len(probes.texts), 'probe')} "
            f"differ by up to {difference:.1e}, and {probes.tolerance:g} passes. emotune verify says more."
        )
