"""The files of an export beside the model: configuration, tokenizer, script and README."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.exports.formats import ExportOptions
from emotune.exports.tokenizer import write_tokenizer
from emotune.folder.format import Description
from emotune.inference.graph import INPUTS, inputs_of
from emotune.models.classifier import Classifier
from emotune.models.encoding import overlap_of
from emotune.system.text import printable
from emotune.system.version import __version__

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SCRIPT = "run.py"
_SCRIPTS = Path(__file__).with_name("scripts")
# Text Embeddings Inference and vLLM read the limit on length from this file of Sentence Transformers.
_LIMIT = "sentence_bert_config.json"


def write_merged(model: PreTrainedModel, folder: Path) -> None:
    """Write a plain transformers model as one file of safetensors, with its configuration.

    Args:
        model: The result of `Method.merge`.
        folder: An existing folder.
    """
    model.save_pretrained(folder, max_shard_size="1TB")


def write_companions(classifier: Classifier, model: PreTrainedModel, options: ExportOptions, folder: Path) -> str:
    """Write configuration, tokenizer and script into a folder.

    Args:
        classifier: The original.
        model: The merged model.
        options: What was asked.
        folder: An existing folder.

    Returns:
        The script.

    Raises:
        ModelError: The tokenizer exists only as Python code, and the format needs tokenizer.json.
    """
    config = model.config
    config.name_or_path = ""
    config.architectures = [type(model).__name__]
    if config.pad_token_id is None:  # GPT-2's head looks for it, and some servers read no null
        config.pad_token_id = int(classifier.tokenizer.pad_token_id)
    config.save_pretrained(folder)
    write_tokenizer(classifier, folder, alone=options.format.needs_tokenizer_json)
    limit = {"max_seq_length": classifier.max_length, "do_lower_case": False}
    (folder / _LIMIT).write_text(json.dumps(limit, indent=2) + "\n", encoding="utf-8")
    task = classifier.task
    script: str = _rendered(
        f"{options.to}.py.jinja",
        one_label=not task.several,
        thresholds=list(task.thresholds or [0.5] * len(classifier.labels)),
        at_least_one=task.at_least_one,
        pairs=bool(classifier.pairs),
        types=len(inputs_of(classifier)) > len(INPUTS),
        windows=classifier.windows,
        stride=overlap_of(classifier.tokenizer, classifier.max_length),
        given="named(texts)" if classifier.pairs else "texts",
        usage="pairs of texts: python run.py FIRST SECOND [FIRST SECOND ...]"
        if classifier.pairs
        else 'texts: python run.py "a text" "another"',
    )
    (folder / SCRIPT).write_text(script, encoding="utf-8")
    return script


def write_readme(
    folder: Path,
    options: ExportOptions,
    source: str,
    description: Description,
    script: str,
    checked: str,
    figures: Mapping[str, str],
) -> None:
    """Write the README of an export.

    Args:
        folder: The export.
        options: What was asked.
        source: Name of the exported folder.
        description: Its description.
        script: Content of run.py.
        checked: How the export was checked, in a paragraph.
        figures: Figures of the check by name.
    """
    given = ', and takes a pair as `{"text": FIRST, "text_pair": SECOND}`' if description.pairs else ""
    cut = "`truncation=True`, which reads one window" if description.windows else "`truncation=True`"
    usable = (
        f'Plain `pipeline("text-classification", FOLDER)` of transformers loads this folder{given}. It cuts no text unless it '
        f"is given {cut}.\nThe folder has what Text Embeddings Inference and vLLM read; it was not run "
        "with them."
        if options.to == "merged"
        else ""
    )
    text = _rendered(
        "README.md.jinja",
        source=source,
        title=options.format.title,
        precision=options.precision,
        labels=", ".join(_code(label) for label in description.labels),
        emotune=__version__,
        pairs=description.pairs,
        reach=_reach(description),
        example='"a man plays the guitar" "somebody makes music"'
        if description.pairs
        else '"I did not expect this at all"',
        packages=" ".join(options.format.runs),
        script=script,
        usable=usable,
        checked=checked,
        figures=figures,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _reach(description: Description) -> str:
    """Return a sentence on texts beyond the limit."""
    if description.windows:
        return (
            f"Texts longer than {description.max_length} tokens are read in overlapping windows, whose logits are averaged by "
            "their tokens."
        )
    if description.pairs:
        return f"Of pairs with more than {description.max_length} tokens, the longer text is cut."
    return f"Texts longer than {description.max_length} tokens are cut."


def _rendered(template: str, **values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_SCRIPTS),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Python and Markdown; what users named stands in code spans
    )
    environment.filters["code"] = _code
    return environment.get_template(template).render(**values)


def _code(text: object) -> str:
    """Return a Markdown code span that shows the text literally."""
    shown = printable(str(text))
    ticks = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{ticks}{space}{shown}{space}{ticks}"
