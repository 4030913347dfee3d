"""The folder that emotune hands over: save it, load it.

It holds the trained weights with the head (PEFT's own files, or a whole model after full fine-tuning), the tokenizer, `config.json`
with the labels, `emotune.json` with everything else, and no path of the machine that made it. Plain PEFT and transformers load it;
the model card in it says how.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.folder.format import mistakes_in
from emotune.models.bundled import SOURCE as BUNDLED
from emotune.system.errors import ArtifactError
from emotune.system.output import DESCRIPTION, written_whole
from emotune.system.text import reason_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from emotune.methods.base import Method
    from emotune.models.classifier import Classifier

FORMAT = 1
PREDICTIONS = "predictions.parquet"
# Files that decide predictions, or hold them. The model card is left out: people may edit it.
CHECKED = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "model.safetensors",
    "config.json",
    PREDICTIONS,
    "tokenizer.json",
    "tokenizer_config.json",
)
# Same weights, same arithmetic: what remains between two processes is the order of float32 sums.
LOGIT_TOLERANCE = 1e-4
# Texts of our own whose logits are saved, so that any folder can be verified without its data.
PROBES = (
    "I can't stop smiling today.",
    "nobody came, not even my brother",
    "I have missed your voice more than I can say, come home soon.",
    "They charged me twice and then put me on hold for an hour!",
    "something is scratching at the back door and I am alone in the house",
    "Wait, you two are married? Since when?",
    "ok",
    "It isn't that I mind the rain, the long walk or the broken umbrella; it is that you promised, and I believed you.",
)


def save(
    classifier: Classifier, folder: str | Path, *, overwrite: bool = False, evidence: dict[str, Any] | None = None
) -> Path:
    """Save a tuned classifier.

    Args:
        classifier: What `finetune` gave.
        folder: Where to; made if it is missing, written whole or not at all.
        overwrite: Replace a result of emotune that stands there.
        evidence: Further entries of `emotune.json` (configuration, data, metrics, times).

    Returns:
        The folder.

    Raises:
        ArtifactError: The classifier was not fine-tuned.
        OutputError: The folder is not empty and `overwrite` is false, or it cannot be written.
    """
    with written_whole(Path(folder), overwrite) as work:
        write_model(classifier, work)
        write_description(classifier, work, evidence or {})
    return Path(folder)


def write_model(classifier: Classifier, folder: Path) -> None:
    """Write the trained weights, the tokenizer and the labels into an existing folder.

    Raises:
        ArtifactError: The classifier was not fine-tuned.
    """
    from transformers import AutoConfig

    if classifier.method is None:
        raise ArtifactError(f"'{classifier.name}' was not fine-tuned: there is nothing to save. Call finetune first.")
    classifier.method.save(classifier.model, folder)
    _clean_tokenizer(classifier).save_pretrained(folder)
    config = AutoConfig.for_model(**classifier.model.config.to_dict())
    config._name_or_path = ""
    config.save_pretrained(folder)


def _clean_tokenizer(classifier: Classifier) -> PreTrainedTokenizerBase:
    """A copy of the tokenizer without what the last call left in it, that cuts long texts where training did."""
    import copy

    tokenizer = copy.deepcopy(classifier.tokenizer)
    for setting in (
        "max_length",
        "stride",
        "truncation_strategy",
        "truncation_side",
        "pad_to_multiple_of",
        "local_files_only",
        "is_local",
    ):
        tokenizer.init_kwargs.pop(setting, None)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.no_truncation()
        backend.no_padding()
    tokenizer.model_max_length = classifier.max_length
    return tokenizer


def write_description(classifier: Classifier, folder: Path, evidence: dict[str, Any]) -> None:
    """Write `emotune.json`, last: it holds the checksums of every other file.

    Args:
        classifier: The saved classifier.
        folder: The folder, all other files in place.
        evidence: Further entries.
    """
    from emotune.inference.forward import compute_logits
    from emotune.models.encoding import encode

    logits = compute_logits(classifier.model, encode(classifier.tokenizer, PROBES, classifier.max_length))
    description = {
        "format": FORMAT,
        "emotune": versions()["emotune"],
        "base_model": {
            "name": classifier.name,
            "source": portable_source(classifier),
            "revision": classifier.revision,
        },
        "labels": list(classifier.labels),
        "max_length": classifier.max_length,
        "seed": classifier.seed,
        "method": {"name": classifier.method.name, **asdict(classifier.method)} if classifier.method else None,
        "temperature": classifier.temperature,
        "training": asdict(classifier.training) if classifier.training else None,
        "train_examples_per_second": classifier.training.train_examples_per_second if classifier.training else None,
        "versions": versions(),
        **evidence,
        "verification": {"texts": list(PROBES), "logits": logits.tolist(), "tolerance": LOGIT_TOLERANCE},
        "files": {name: sha256(folder / name) for name in CHECKED if (folder / name).is_file()},
    }
    text = json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def portable_source(classifier: Classifier) -> str | None:
    """What loads the base again anywhere: "bundled:…" or its Hub id; None for a folder of this machine."""
    # A local folder may be called like its model; what came from the Hub has a revision.
    from_hub = classifier.source == classifier.name and classifier.revision is not None
    return classifier.source if from_hub or classifier.source == BUNDLED else None


def versions() -> dict[str, str]:
    """Versions of what a result depends on, by package name."""
    import platform
    from importlib.metadata import version

    import emotune

    packages = ("torch", "transformers", "peft", "tokenizers", "scikit-learn", "numpy")
    return {
        "emotune": emotune.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def read_description(folder: str | Path) -> dict[str, Any]:
    """Read `emotune.json`.

    Raises:
        ArtifactError: The folder or the file is missing, damaged, or of a newer format.
    """
    folder = Path(folder)
    if folder.is_file():
        raise ArtifactError(f"'{folder}' is a file. Give the folder that emotune run saved.")
    if not folder.is_dir():
        raise ArtifactError(f"There is no folder '{folder}'. Give the folder that emotune run saved.")
    path = folder / DESCRIPTION
    if not path.is_file():
        from emotune.models.folder import what_it_is

        raise ArtifactError(
            f"'{folder}' has no {DESCRIPTION}, so it is not a folder that emotune saved, or it is incomplete."
            f"{what_it_is(folder)}"
        )
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        seen = description["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(
            f"'{path}' is damaged: {reason_of(error)}. Save the model again, or restore the file."
        ) from None
    if seen != FORMAT:
        raise ArtifactError(
            f"'{path}' has format {seen}; this emotune reads format {FORMAT}. Install the version that wrote it."
        )
    wrong = mistakes_in(description)
    if wrong:
        raise ArtifactError(f"'{path}' is damaged: {wrong}. Restore the file, or save the model again.")
    return dict(description)


def load(folder: str | Path, *, base: str | Path | None = None) -> Classifier:
    """Load a saved folder.

    Args:
        folder: What `save` wrote.
        base: Where the base model is, for folders whose base was a local folder; also a local copy of a Hub model.

    Raises:
        ArtifactError: The folder is incomplete or damaged, or its base model is not known.
        ModelError: The base model cannot be loaded.
        HubError: The base model is on the Hub, and the Hub cannot be reached.
    """
    from emotune.models.load import load_base

    saved = SavedFolder.checked(folder, base)
    return saved.classifier(
        lambda: (
            load_base(
                saved.base,
                labels=saved.labels,
                max_length=saved.max_length,
                seed=saved.seed,
                revision=saved.base_revision,
                fresh_head=True,  # the saved one takes its place
            ).model
        )
    )


@dataclass(frozen=True)
class SavedFolder:
    """A saved folder that was found complete, with what it says of itself.

    Attributes:
        folder: The folder.
        description: Its `emotune.json`.
        method: The method it was made with.
        given: Where the caller says that the base model is.
    """

    folder: Path
    description: dict[str, Any]
    method: Method
    given: str | Path | None

    @classmethod
    def checked(cls, folder: str | Path, base: str | Path | None) -> SavedFolder:
        """Look at a folder without loading anything; arguments and errors as in `load`."""
        from emotune.methods.registry import method_of_folder

        folder = Path(folder)
        description = read_description(folder)
        method = method_of_folder(description["method"], str(folder))
        recorded = description["base_model"]
        if base is None and recorded["source"] is None and method.needs_base:
            raise ArtifactError(
                f"'{folder}' was trained on a base model from a local folder ('{recorded['name']}'), "
                "which it does not contain. "
                "Say where it is with --base FOLDER (base=... in Python)."
            )
        for name in (*method.files, "config.json", "tokenizer_config.json", *description["files"]):
            if name == PREDICTIONS:  # of use to people and to verify
                continue
            if not (folder / name).is_file():
                raise ArtifactError(
                    f"'{folder}' is incomplete: {name} is missing. Copy the whole folder, or save the model again."
                )
        return cls(folder, description, method, base)

    @property
    def base(self) -> str | Path:
        """What loads the base model; the folder itself, where it holds a whole model of a base that it cannot name."""
        source = self.description["base_model"]["source"] if self.given is None else self.given
        return self.folder if source is None else source

    @property
    def base_revision(self) -> str | None:
        """The base's commit on the Hub, where it is loaded from there."""
        return None if self.given is not None else self.description["base_model"]["revision"]

    @property
    def labels(self) -> tuple[str, ...]:
        """Its labels."""
        return tuple(self.description["labels"])

    @property
    def max_length(self) -> int:
        """Tokens a text."""
        return self.description["max_length"]

    @property
    def seed(self) -> int:
        """The seed it was trained with."""
        return self.description["seed"]

    def classifier(
        self, base: Callable[[], PreTrainedModel], tokenizers: dict[str, PreTrainedTokenizerBase] | None = None
    ) -> Classifier:
        """Load it.

        Args:
            base: Gives the base model, for methods that need one.
            tokenizers: Those loaded so far, by base model and checksums of their files; None to share none.
        """
        from emotune.models.classifier import Classifier
        from emotune.models.load import untrained_model

        model = self.method.load(self.folder, base if self.method.needs_base else lambda: untrained_model(self.folder))
        tokenizer = self._tokenizer({} if tokenizers is None else tokenizers)
        recorded = self.description["base_model"]
        return Classifier(
            name=recorded["name"],
            source=str(self.base),
            revision=recorded["revision"],
            model=model.eval(),
            tokenizer=tokenizer,
            labels=self.labels,
            max_length=self.max_length,
            seed=self.seed,
            method=self.method,
            temperature=self.description.get("temperature"),
        )

    def _tokenizer(self, tokenizers: dict[str, PreTrainedTokenizerBase]) -> PreTrainedTokenizerBase:
        # Imported only now: it takes seconds, which nobody should wait for who has mistyped a path.
        from transformers import AutoTokenizer

        from emotune.models.folder import TOKENIZER_FILES

        files = {name: sha256(self.folder / name) for name in TOKENIZER_FILES if (self.folder / name).is_file()}
        # The kind of model has a say in how the files are read.
        key = json.dumps([self.description["base_model"]["name"], files], sort_keys=True)
        if key not in tokenizers:
            try:
                tokenizers[key] = AutoTokenizer.from_pretrained(str(self.folder), trust_remote_code=False)
            except Exception as error:
                raise ArtifactError(
                    f"The tokenizer in '{self.folder}' is damaged: {reason_of(error)}. "
                    "Copy the folder again, or save the model again."
                ) from None
        return tokenizers[key]


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
