"""`emotune drift`: compare new texts without labels with those that a saved model was tested on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emotune.cli.arguments import (
    TEXTS,
    Base,
    Device,
    Folder,
    TextColumn,
    TextPairColumn,
    reading_options,
    share,
    whole_number,
    with_reading,
)
from emotune.system.errors import ArtifactError, ConfigError
from emotune.system.wording import counted, in_full

if TYPE_CHECKING:
    from emotune.evaluation.drift import Drift, Labelled
    from emotune.folder.tuned import TunedClassifier


@with_reading
def drift(
    folder: Folder,
    file: Annotated[str, typer.Argument(metavar="FILE", help=f"New texts: {TEXTS}. Labels in it are ignored.")],
    reference: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Texts to compare with, instead of the folder's saved test rows."),
    ] = None,
    level: Annotated[
        float,
        typer.Option(
            metavar="P",
            parser=share("--level", "0.01", ends=False),
            help="Probability of a false alarm, for all tests together.",
        ),
    ] = 0.01,
    least_change: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            parser=share("--least-change", "0.1", ends=False),
            help="Share of texts that a significant difference must have to count.",
        ),
    ] = 0.1,
    sample: Annotated[
        int,
        typer.Option(
            metavar="N",
            parser=whole_number("--sample", 1),
            help="Texts to draw at random from a file that has more; always the same ones.",
        ),
    ] = 10_000,
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    base: Base = None,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    fail: Annotated[bool, typer.Option("--fail", help="Exit with code 1 if the new texts need a look.")] = False,
    **reading: Any,
) -> None:
    """Compare new texts with the test rows: predicted labels, confidence, length, and words that training lacks.

    It says to look where a difference is significant (all tests together have the level) and has the least size.

    Examples:
    $ emotune drift fine_tuned_lora_model this_week.csv
    $ emotune drift fine_tuned_lora_model this_week.csv --reference last_week.csv --json
    $ emotune drift fine_tuned_lora_model this_week.csv --level 0.001 --least-change 0.2 --fail
    """
    from emotune.cli.console import make_console
    from emotune.data.formats.copies import STANDARD_INPUT
    from emotune.evaluation.drift import find_drift
    from emotune.folder.columns import unlabelled_columns
    from emotune.folder.format import read_description
    from emotune.settings.stored import seen_by

    description = read_description(folder)
    roles = unlabelled_columns(description, text_column, text_pair_column)
    # Everything about paths and files comes before the model is loaded.
    how = {**roles, **reading_options(reading)}
    if file in STANDARD_INPUT and reference in STANDARD_INPUT:
        raise ConfigError("Standard input can be read only once. Give a file for the new texts or for --reference.")
    new_texts = _drawn(file, how, sample)
    reference_texts = None if reference is None else _drawn(reference, how, sample)
    old = _saved_rows(folder) if reference_texts is None else None
    seen, unknown = seen_by(description, folder)

    from emotune.folder.load import load_saved
    from emotune.system.precision import choose_device

    chosen = choose_device(device)
    classifier = load_saved(folder, base=base)
    classifier.model.to(chosen)
    old = _labelled(classifier, reference_texts) if old is None else old
    found = find_drift(
        old,
        _labelled(classifier, new_texts),
        task=description.kind,
        labels=description.labels,
        seen=seen,
        level=level,
        least_change=least_change,
        skipped=f"Unseen words were not compared: {unknown}." if unknown else "",
    )
    if as_json:
        typer.echo(json.dumps(_figures(found), ensure_ascii=False, indent=2))
    else:
        from rich.text import Text

        from emotune.evaluation.words.drift import drift_sentences, drift_tables, unseen_line
        from emotune.report.tables import shown, stacked

        sentences = drift_sentences(found)
        old_rows = counted(found.reference_rows, "saved test row" if reference is None else "reference text")
        parts = [
            Text(f"{counted(found.rows, 'new text')} against {old_rows}."),
            *map(shown, drift_tables(found)),
            *map(Text, filter(None, [unseen_line(found)])),
        ]
        make_console().print(stacked([*parts, Text(sentences[0], style="bold"), *map(Text, sentences[1:])]))
    if fail and found.look:
        raise typer.Exit(1)


def _drawn(file: str, how: Mapping[str, Any], most: int) -> list[str]:
    """Return the texts of a file, or a sample of them."""
    from emotune.cli.console import print_notice
    from emotune.evaluation.drift import draw

    texts, total = draw(_texts(file, how), most)
    if total > len(texts):
        print_notice(f"{in_full(file)}: {counted(len(texts), 'text')} of {total:,} were drawn at random.")
    return texts


def _texts(file: str, how: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of a file without labels."""
    from emotune.cli.console import print_notice
    from emotune.data.places.texts import open_unlabelled
    from emotune.data.unlabelled import all_texts

    given = open_unlabelled(file, **how)
    for note in given.notes:
        print_notice(note)
    for _, text in all_texts(given):
        yield text


def _saved_rows(folder: Path) -> Labelled:
    """Return the saved test rows with their predictions."""
    from emotune.evaluation.drift import Labelled
    from emotune.evaluation.saved import read_evaluation
    from emotune.folder.format import PREDICTIONS

    if not (folder / PREDICTIONS).is_file():
        raise ArtifactError(
            f"'{folder}' has no {PREDICTIONS}, so there are no test rows to compare with. emotune run writes it; save does not. "
            "Name a file of earlier texts with --reference FILE."
        )
    return Labelled.of_evaluation(read_evaluation(folder))


def _labelled(classifier: TunedClassifier, texts: list[str] | None) -> Labelled:
    """Return texts with the model's labels, in float32 as the saved ones."""
    from emotune.cli.console import ConsoleProgress, make_console
    from emotune.evaluation.drift import Labelled
    from emotune.inference.predictor import Predictor

    with Predictor(classifier, precision="fp32") as predictor:
        found = predictor.predict(texts or [], progress=ConsoleProgress(1, make_console(stderr=True)))
    return Labelled.of_predictions(found)


def _figures(found: Drift) -> dict[str, object]:
    """Return the result for `--json`."""
    from emotune.evaluation.words.drift import drift_sentences

    return {
        "look": found.look,
        "drifted": [shift.name for shift in found.drifted],
        "verdict": " ".join(drift_sentences(found)),
        **asdict(found),
    }
