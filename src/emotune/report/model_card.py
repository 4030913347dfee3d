"""The model card: the README.md of a saved folder, in Markdown with the Hub's metadata at the top.

The text is in `model_card.md.jinja`; every number comes from the objects. The template escapes everything it prints
for Markdown unless it is a `_Markdown`, so a label such as `a|b` or `<script>` is shown literally.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune.evaluation.comparison import Comparison
from emotune.evaluation.leaks import Leaks
from emotune.evaluation.rivals import yardstick
from emotune.evaluation.scores import absent_classes, accuracy_interval
from emotune.evaluation.words.folds import folds_sentences, folds_table, score_interval
from emotune.evaluation.words.formats import duration, nats, nats_difference, percent, points, share
from emotune.evaluation.words.margin import margin_lines
from emotune.evaluation.words.texts import TextTable
from emotune.evaluation.words.verdict import of_seeds, sentences
from emotune.folder.record import TrainingRecord
from emotune.folder.tuned import TunedClassifier
from emotune.methods.base import Method, PeftMethod, head_and_pooler
from emotune.methods.qlora import QLoRA
from emotune.report.hub_metadata import card_data, model_index
from emotune.report.probabilities import probabilities_sentence
from emotune.report.usage import example_texts, texts_read
from emotune.system.names import is_hub_id
from emotune.system.text import printable
from emotune.system.wording import counted
from emotune.tasks.calibration import Trust

_TEMPLATE = Path(__file__).with_name("model_card.md.jinja")
_LOSS = "loss (cross-entropy), lower is better"


def model_card(
    *,
    classifier: TunedClassifier,
    dataset_name: str,
    dataset_notes: Sequence[str],
    comparison: Comparison,
    trust: Trust,
    leaks: Leaks | None = None,
    versions: Mapping[str, str],
    command: str,
    created: str,
) -> str:
    """Write the model card of a tuned classifier.

    Args:
        classifier: The tuned classifier.
        dataset_name: The data set's name; one of the form owner/name is linked as a Hub data set.
        dataset_notes: Changes to the data when it was loaded, one sentence each.
        comparison: The base model's scores against the tuned model's.
        trust: Calibration of the tuned model's probabilities.
        leaks: The comparison without the test rows that repeat a training row; None if there are none.
        versions: Versions by package name.
        command: The command line that made the folder.
        created: The date, as shown in the card.

    Returns:
        The text of README.md: YAML front matter that the Hub reads, then Markdown.
    """
    method, record = classifier.method, classifier.training
    evaluations = (comparison.before, comparison.after, *comparison.baselines)
    head = classifier.checkpoint_head
    return (
        _environment()
        .from_string(_TEMPLATE.read_text(encoding="utf-8"))
        .render(
            front_matter=_Markdown(_front_matter(classifier, method, dataset_name, comparison)),
            classifier=classifier,
            labels=_listed(classifier.labels),
            example=_Markdown(example_texts(classifier.pairs)),
            reach=texts_read(classifier.max_length, pairs=classifier.pairs, windows=classifier.windows),
            base_is_on_hub=_is_on_hub(classifier),
            method=method,
            options=_options(method),
            peft=isinstance(method, PeftMethod),
            quantized=_quantized(classifier, method),
            other_head=_Markdown("" if head is None or head.fits else ", ignore_mismatched_sizes=True"),
            tuner=_Markdown(method.tuner) if isinstance(method, PeftMethod) and method.tuner else None,
            record=record,
            dataset_name=dataset_name,
            dataset_notes=dataset_notes,
            comparison=comparison,
            verdict=sentences(comparison, leaks=leaks),
            of_seeds=of_seeds(comparison),
            margin=margin_lines(comparison),
            yardstick=yardstick(comparison).name,
            probabilities=probabilities_sentence(trust),
            notes=[(evaluation.name, evaluation.note) for evaluation in evaluations if evaluation.note],
            absent=absent_classes(comparison.after.metrics),
            folds=folds_sentences(comparison),
            interval=accuracy_interval(comparison.after) if comparison.folds is None else score_interval(comparison),
            rarest=min(comparison.after.metrics.per_class.items(), key=lambda item: item[1].support),
            score_table=_score_table(comparison),
            class_table=_class_table(comparison),
            epoch_table=_epoch_table(record),
            target_table=_target_table(record),
            versions=versions,
            command=command,
            created=created,
        )
    )


def _quantized(classifier: TunedClassifier, method: Method) -> dict[str, Any] | None:
    """Return how plain transformers quantizes the base as QLoRA does; None for other methods."""
    if not isinstance(method, QLoRA):
        return None
    model: Any = classifier.model
    return {"double": method.double_quant, "kept": _Markdown(json.dumps(head_and_pooler(model.get_base_model())))}


class _Markdown(str):
    """Text that is Markdown already, and is not escaped."""


def _environment() -> Any:
    """Return the Jinja environment, in which unknown names are errors and output is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, _Markdown) else _escaped(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it escapes for HTML; `finalize` escapes for Markdown
    )
    environment.filters.update(
        code=_code, fenced=_fenced, share=share, percent=percent, duration=duration, counted=counted
    )
    return environment


def _escaped(text: str) -> str:
    """Escape text so that Markdown shows it literally, in a paragraph, a list item or a table's cell."""
    text = printable(text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"[\\`*_{}\[\]#|~$!]", r"\\\g<0>", text)
    # Characters that would begin a list or a rule, only at the beginning.
    text = re.sub(r"^[-+=](?!\d)", r"\\\g<0>", text)
    return re.sub(r"^(\d+)([.)])(?!\d)", r"\1\\\2", text)


def _code(text: object) -> _Markdown:
    """Return a code span that shows the text literally."""
    shown = printable(str(text))
    ticks = "`" * (_longest_run_of_ticks(shown) + 1)
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    return _Markdown(f"{ticks}{space}{shown}{space}{ticks}")


def _fenced(text: str, language: str = "") -> _Markdown:
    """Return a block of code that shows one line literally."""
    shown = printable(text)
    fence = "`" * max(3, _longest_run_of_ticks(shown) + 1)
    return _Markdown(f"{fence}{language}\n{shown}\n{fence}")


def _listed(texts: Iterable[str]) -> _Markdown:
    """Return code spans separated by commas."""
    return _Markdown(", ".join(map(_code, texts)))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> _Markdown:
    """Return a table, names to the left, numbers to the right. Tables need bars escaped, also in cells of Markdown."""
    lines = [[_escaped(heading) for heading in headings], ["---", *["---:"] * (len(headings) - 1)]]
    lines += [
        [cell.replace("|", "\\|") if isinstance(cell, _Markdown) else _escaped(cell) for cell in row] for row in rows
    ]
    return _Markdown("\n".join(f"| {' | '.join(cells)} |" for cells in lines))


def markdown_table(table: TextTable) -> str:
    """Return a table in Markdown, its title above and its note below."""
    rows = _table(table.headings, [[str(cell) for cell in row] for row in table.rows])
    return "\n\n".join(filter(None, [f"**{_escaped(table.title)}**", rows, _escaped(table.note)]))


def _longest_run_of_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _front_matter(classifier: TunedClassifier, method: Method, dataset_name: str, comparison: Comparison) -> str:
    """Return the card's metadata in the Hub's format, as YAML, without names that are not Hub ids."""
    on_hub = is_hub_id(dataset_name, with_owner=True)
    after = comparison.after
    metrics = after.metrics
    scores = {"accuracy": metrics.accuracy, "macro_f1": metrics.macro_f1}
    if comparison.folds is not None:
        scores["accuracy"], scores["macro_f1"] = comparison.mean_scores
    data = card_data(
        method=method,
        base_model=classifier.name if _is_on_hub(classifier) else None,
        datasets=[dataset_name] if on_hub else None,
        model_name=f"{classifier.name} with {method.title}",
        eval_results=model_index(
            dataset_name,
            on_hub=on_hub,
            split=after.split.name,
            rows=len(after.split),
            scores=scores,
        ),
    )
    return str(data.to_yaml())


def _is_on_hub(classifier: TunedClassifier) -> bool:
    """Return whether the base model's name is an id on the Hub, not a local folder."""
    return classifier.revision is not None or is_hub_id(classifier.name, with_owner=True)


def _options(method: Method) -> _Markdown:
    """Return the method's options with their values, defaults included."""
    shown = {name: ", ".join(value) if isinstance(value, tuple) else value for name, value in method.options().items()}
    return _Markdown(", ".join(f"{_escaped(name)} {_code(value)}" for name, value in shown.items()))


def _score_table(comparison: Comparison) -> _Markdown:
    """Return the overall scores: after, baselines, before. A base that is chance comes last, without a difference."""
    if comparison.folds is not None:
        table = folds_table(comparison)
        return _table(table.headings, [[str(cell) for cell in row] for row in table.rows])
    before, after, baselines = comparison.before, comparison.after, comparison.baselines
    old, new = f"before: {before.name}", f"after: {after.name}"
    if before.is_chance:
        columns = [(new, after.metrics), *((found.name, found.metrics) for found in baselines)]
        columns.append((f"{old}, chance", before.metrics))
        rows = [[name, *(share(found.named()[name]) for _, found in columns)] for name in after.metrics.named()]
        rows.append([_LOSS, *(nats(found.loss) for _, found in columns)])
        return _table(["score", *(name for name, _ in columns)], rows)
    first, second = before.metrics.named(), after.metrics.named()
    rows = [
        [
            name,
            share(first[name]),
            share(second[name]),
            points(first[name], second[name]),
            *(share(found.metrics.named()[name]) for found in baselines),
        ]
        for name in first
    ]
    rows.append(
        [
            _LOSS,
            nats(before.metrics.loss),
            nats(after.metrics.loss),
            nats_difference(before.metrics.loss, after.metrics.loss),
            *(nats(found.metrics.loss) for found in baselines),
        ]
    )
    return _table(["score", old, new, "difference", *(found.name for found in baselines)], rows)


def _class_table(comparison: Comparison) -> _Markdown:
    """Return precision, recall and F1 of each class, of the yardstick and after."""
    after = comparison.after.metrics.per_class
    rows = [
        [
            label,
            f"{old.support:,}",
            f"{share(old.precision)} → {share(after[label].precision)}",
            f"{share(old.recall)} → {share(after[label].recall)}",
            f"{share(old.f1)} → {share(after[label].f1)}",
        ]
        for label, old in yardstick(comparison).metrics.per_class.items()
    ]
    return _table(["label", "rows", "precision", "recall", "F1"], rows)


def _epoch_table(record: TrainingRecord) -> _Markdown:
    """Return the table of epochs."""
    if not record.is_validated:
        return _table(
            ["epoch", "training loss", "time"],
            [[f"{epoch.number}", nats(epoch.train_loss), duration(epoch.seconds)] for epoch in record.epochs],
        )
    rows = [
        [
            f"{epoch.number} (kept)" if epoch.number == record.best_epoch else f"{epoch.number}",
            nats(epoch.train_loss),
            nats(epoch.validation_loss),
            nats(epoch.validation_scaled_loss),
            share(epoch.validation_accuracy),
            share(epoch.validation_macro_f1),
            duration(epoch.seconds),
        ]
        for epoch in record.epochs
    ]
    headings = ["epoch", "training loss", "validation loss", "validation loss, scaled", "accuracy", "macro-F1", "time"]
    return _table(headings, rows)


def _target_table(record: TrainingRecord) -> _Markdown:
    """Return the number of adapted modules of each kind: names in which a star replaces layer numbers."""
    kinds = Counter(re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name) for name in record.target_modules)
    return _table(["adapted modules", "how many"], [[_code(name), f"{count:,}"] for name, count in kinds.items()])
