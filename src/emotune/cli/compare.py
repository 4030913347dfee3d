"""`emotune compare`: compare saved models and files of predictions on identical rows, with tests and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from emotune.cli.arguments import Base, Map, renamed
from emotune.system.errors import ConfigError
from emotune.system.wording import in_full, listed

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from emotune.data.dataset import Split
    from emotune.evaluation.scores import Evaluation
    from emotune.evaluation.several import SeveralComparison
    from emotune.folder.format import Description
    from emotune.report.html import Report
    from emotune.statistics.paired import PairedStatistics
    from emotune.tasks.calibration import Temperature


def compare(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR DIR...",
            help="Folders that emotune, transformers or PEFT saved, or files of predictions; the first is compared with.",
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Labelled rows to score every folder on now; without it, saved predictions are read.",
        ),
    ] = None,
    names: Map = None,
    base: Base = None,
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="File for the report, one page that needs no network.")
    ] = Path("emotune_comparison.html"),
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="Also test whether each later model is not worse than the first by more than this many points of "
            "accuracy, and equivalent to it within this margin.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing report.")] = False,
) -> None:
    """Compare saved models by their predictions on the same rows.

    The predictions that a run saved are read, and no model is loaded. A folder without any, such as one that
    transformers or PEFT saved, is scored on the rows of the others; with --data, every folder is scored on these rows.

    A file of predictions (CSV, TSV, JSON Lines or Parquet) has the columns text, label and prediction, and optionally
    probabilities in one column per label, as in p_joy. `emotune evaluate --output` writes one; any program can.

    Every later folder is compared with the first: tests and intervals are paired, row by row. Where there are
    several, their p-values are corrected for it (Holm).

    Examples:
    $ emotune compare fine_tuned_lora_model other_model
    $ emotune compare full_fine_tuning lora --margin 1
    $ emotune compare fine_tuned_lora_model predictions_of_another_program.csv
    $ emotune compare seed_0 seed_1 seed_2 --output seeds.html
    $ emotune compare fine_tuned_lora_model plain_model --data bundled:sample
    """
    from emotune.cli.console import make_console
    from emotune.evaluation.margin import checked_margin
    from emotune.folder.format import read_description
    from emotune.folder.plain import is_plain
    from emotune.report.html import MARK, render_report
    from emotune.report.several import comparison_page
    from emotune.settings.portable import command
    from emotune.system.output import open_output
    from emotune.system.text import printable

    if margin is not None:
        checked_margin(margin)
    if len(folders) < 2:
        raise ConfigError(f"There is one folder or file to compare, {folders[0]}. Give at least two.")
    places = [folder.resolve() for folder in folders]
    twice = next((folder for folder, place in zip(folders, places, strict=True) if places.count(place) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is given twice. A model does not differ from itself.")
    called = told_apart(places)
    if names and data is None:
        raise ConfigError(
            "--map renames labels of the rows of --data, which is not given. Leave it out, or give --data."
        )
    absent = next((folder for folder in folders if not folder.exists()), None)
    if absent is not None:
        raise ConfigError(
            f"No such file or folder: {in_full(absent)}. Give folders of saved models, or files of predictions."
        )
    descriptions = [None if folder.is_file() or is_plain(folder) else read_description(folder) for folder in folders]
    with open_output(output, overwrite, mark=MARK) as target:
        evaluations = in_one_order(read_all(folders, called, descriptions, data, base, renamed(names)))
        temperatures = [None if description is None else description.temperature for description in descriptions]
        repeats = [
            ""
            if description is None
            else seen_sentence(folder, name, description, evaluations[0].split)
            if data is not None
            else " ".join(filter(None, cautions(name, description)))
            for folder, name, description in zip(folders, called, descriptions, strict=True)
        ]
        said = list(filter(None, repeats))
        if evaluations[0].split.task.several:
            compared = compare_several(evaluations, margin)
            target.write(comparison_page(compared, said, command()))
            shown: RenderableType = several_table(compared, said)
        else:
            pages = reports(evaluations, temperatures, margin, repeats)
            target.write(render_report(*pages))
            shown = pages_table(pages, said)
    make_console().print(shown)
    typer.echo(f"\nThe report is {printable(str(output.resolve()))}")


def pages_table(pages: Sequence[Report], said: Sequence[str]) -> RenderableType:
    """Return the pages of a report for the terminal: one in full, several as a ranking.

    Args:
        pages: Each later model, compared with the first.
        said: Sentences on the models; a ranking has them in its verdicts.
    """
    from rich.console import Group
    from rich.text import Text

    from emotune.report.tables import comparison_table, ranking_table

    if len(pages) == 1:
        return Group(comparison_table(pages[0].comparison, changes=True), *map(Text, said))
    verdicts = [" ".join([*page.verdict, *(page.margin or ())]) for page in pages]
    return ranking_table([page.comparison for page in pages], verdicts)


def read_all(
    places: Sequence[Path],
    names: Sequence[str],
    descriptions: Sequence[Description | None],
    data: str | None = None,
    base: str | None = None,
    renaming: dict[str, str] | None = None,
) -> list[Evaluation]:
    """Read predictions, of files with the labels of the first folder, or else their own; score folders that have none.

    Args:
        places: The folders and files.
        names: Their names in tables.
        descriptions: The `emotune.json` of each folder that emotune saved; None for the others.
        data: Labelled rows to score every folder on; None for the saved predictions of folders that have them.
        base: The base model of folders that are adapters, if they do not name it.
        renaming: New names of labels of these rows by old ones.
    """
    from emotune.cli.console import ConsoleProgress, make_console, print_notice
    from emotune.data.load import load_split
    from emotune.evaluation.folders import score_folder
    from emotune.evaluation.foreign import common_labels, foreign_evaluation, read_foreign
    from emotune.evaluation.saved import read_evaluation
    from emotune.folder.facts import facts_of
    from emotune.tasks.single_label import SINGLE_LABEL

    rows: Split | None = None
    first = next(filter(None, descriptions), None)
    labels, task = (None, SINGLE_LABEL) if first is None else (first.labels, first.kind)
    files = {place: read_foreign(place, several=task.several) for place in places if place.is_file()}
    if data is not None:
        folder = next((place for place in places if place not in files), None)
        if folder is None:
            raise ConfigError("--data is for folders, whose models are scored on it. Leave it out to compare files.")
        facts = facts_of(folder, base_of(folder, base))
        labels, task = facts.labels, facts.task
        rows = load_split(data, labels=labels, task=task, map=renaming)
        for note in rows.notes:
            print_notice(note)
    elif labels is None and files:
        labels = common_labels(list(files.values()))
    if labels is None:
        raise ConfigError(
            f"None of {listed(map(str, places))} holds predictions. Give labelled rows to score them on: --data DATA."
        )
    found: dict[Path, Evaluation] = {}
    for place, name, description in zip(places, names, descriptions, strict=True):
        if place in files:
            found[place] = foreign_evaluation(files[place], labels, name, task)
        elif rows is None and description is not None:
            found[place] = read_evaluation(place, name=name)
    if rows is None:
        rows = next(iter(found.values())).split
    for place, name in zip(places, names, strict=True):
        if place not in found:
            own = base_of(place, base)
            for note in facts_of(place, own).notes:
                print_notice(note)
            progress = ConsoleProgress(1, make_console(stderr=True))
            found[place] = score_folder(place, rows, name, base=own, progress=progress)
    return [found[place] for place in places]


def base_of(folder: Path, base: str | None) -> str | None:
    """Return the base model for a folder that needs one: an adapter, by whomever saved."""
    from emotune.folder.plain import is_plain
    from emotune.models.folder import ADAPTER_CONFIG

    return None if is_plain(folder) and not (folder / ADAPTER_CONFIG).is_file() else base


def in_one_order(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the evaluations with their labels and rows in the order of the first; say where texts matched the rows."""
    from emotune.cli.console import print_notice
    from emotune.evaluation.foreign import matched
    from emotune.evaluation.label_order import with_labels_of

    first, *others = evaluations
    found = [first]
    for other in (with_labels_of(first, given) for given in others):
        moved = matched(first, other)
        if moved is not None:
            print_notice(
                f"'{other.name}' has the rows of '{first.name}' in another order; they were matched by their texts."
            )
        found.append(other if moved is None else moved)
    return found


def told_apart(places: Sequence[Path]) -> list[str]:
    """Return distinct names of folders: each with as many parent folders as distinguish it from the others.

    Args:
        places: Resolved paths, all different.
    """
    names = []
    for place in places:
        others = [other.parts for other in places if other != place]
        parts = place.parts
        depth = next(n for n in range(1, len(parts) + 1) if not any(other[-n:] == parts[-n:] for other in others))
        names.append("/".join(parts[-depth:]))
    return names


def cautions(name: str, description: Description) -> tuple[str, str]:
    """Return sentences on what a model's predictions are; "" where there is nothing to say.

    Args:
        name: Name of the model.
        description: Its `emotune.json`.
    """
    return repeats_of_training(name, description), of_folds(name, description)


def seen_sentence(folder: Path, name: str, description: Description, rows: Split) -> str:
    """Return a sentence on the rows that a model was trained on, by the fingerprints in its folder; "" for none."""
    from emotune.cli.evaluate import seen_rows
    from emotune.system.text import printable
    from emotune.system.wording import counted

    seen = seen_rows(folder, description, rows)
    if not seen:
        return ""
    return (
        f"'{printable(name)}' was trained on {counted(seen, 'row')} of these {len(rows):,} (equal but for case and "
        "punctuation), so its scores may be too good."
    )


def compare_several(evaluations: Sequence[Evaluation], margin: float | None) -> list[SeveralComparison]:
    """Return each later model of rows with several labels, compared with the first."""
    from emotune.evaluation.compare import compare as compare_evaluations
    from emotune.evaluation.several import SeveralComparison

    first, *others = evaluations
    return [cast(SeveralComparison, compare_evaluations(first, other, margin=margin)) for other in others]


def several_table(comparisons: Sequence[SeveralComparison], remarks: Sequence[str]) -> Group:
    """Return comparisons of rows with several labels for the terminal."""
    from emotune.evaluation.words.several import notes, several_tables, verdict
    from emotune.evaluation.words.tables import Verdict
    from emotune.evaluation.words.texts import TextTable
    from emotune.report import tables

    parts: list[str | TextTable | Verdict] = []
    for found in comparisons:
        parts += [*several_tables(found), *notes(found), Verdict(verdict(found))]
    return tables.stacked(map(tables.shown, [*parts, *remarks]))


def of_folds(name: str, description: Description) -> str:
    """Say that the predictions are those of a cross-validation, if they are; else return ""."""
    from emotune.system.text import printable

    if description.cross_validation is None:
        return ""
    return (
        f"'{printable(name)}' was cross-validated: its predictions are those of the folds' models, each of rows that it had not seen, in "
        "the first repeat. The tests count the rows, but not that the folds share training rows, so p is somewhat too small."
    )


def repeats_of_training(name: str, description: Description) -> str:
    """Return a sentence on the test rows that a model was trained on, as its run counted them; "" where there are none.

    Args:
        name: Name of the model.
        description: Its `emotune.json`.
    """
    from emotune.evaluation.words.leaks import kinds_in_words
    from emotune.system.text import printable
    from emotune.system.wording import counted

    leaks = (description.metrics or {}).get("without_leaked_rows")
    found = leaks.get("leaked") if isinstance(leaks, dict) else None
    kinds = (
        {kind: number for kind, number in found.items() if isinstance(number, int)} if isinstance(found, dict) else {}
    )
    if not kinds or not isinstance(found, dict) or len(kinds) < len(found):
        return ""  # no leaks, or the entry was not written by a run
    rows = sum(kinds.values())
    return (
        f"{counted(rows, 'test row')} {'repeats' if rows == 1 else 'repeat'} a row that '{printable(name)}' was trained on "
        f"({kinds_in_words(kinds)}). The scores include them; the report of its run has the scores without them."
    )


def reports(
    evaluations: Sequence[Evaluation],
    temperatures: Sequence[Temperature | None],
    margin: float | None = None,
    repeats: Sequence[str] | None = None,
) -> list[Report]:
    """Return one page per later model, compared with the first; p-values are corrected for their number.

    Args:
        evaluations: The models.
        temperatures: Temperature of each model.
        margin: Margin of the tests, in points of accuracy.
        repeats: Sentence for each model on the test rows that it was trained on.
    """
    from emotune.evaluation.compare import compare as compare_evaluations
    from emotune.evaluation.margin import corrected, margin_test
    from emotune.evaluation.words.margin import margin_sentence
    from emotune.evaluation.words.verdict import seeds_behind, sentences
    from emotune.folder.format import versions
    from emotune.report.html import Report
    from emotune.settings.portable import command

    first, *others = evaluations
    told = repeats or [""] * len(evaluations)
    comparisons = [compare_evaluations(first, other, margin=margin) for other in others]
    several = len(comparisons) > 1
    adjusted = _corrected([comparison.statistics for comparison in comparisons]) if several else [{}]
    tests = [] if margin is None else corrected([margin_test(found.statistics, margin) for found in comparisons])
    said = [
        margin_sentence(test, found.after, found.before, seeds=seeds_behind(found, found.before), corrected=several)
        for found, test in zip(comparisons, tests, strict=False)
    ]
    subtitle = "Saved predictions, row by row."
    if several:
        subtitle += f" The verdict's p-value is corrected for {len(comparisons)} comparisons (Holm)."
    return [
        Report(
            title=f"{comparison.after.name} against {first.name}",
            subtitle=subtitle,
            comparison=comparison,
            verdict=[*sentences(comparison, p), *filter(None, (told[0], told[place + 1]))],
            margin=said[place : place + 1],
            trust=None
            if comparison.after.probabilities is None
            else comparison.after.split.task.trust(
                comparison.after.split.label_ids, comparison.after.probabilities, temperature
            ),
            commands=[command()] if command() else [],
            versions=versions(),
        )
        for place, (comparison, p, temperature) in enumerate(zip(comparisons, adjusted, temperatures[1:], strict=True))
    ]


def _corrected(found: Sequence[PairedStatistics]) -> list[dict[str, float]]:
    """Return the p-values of several comparisons by score, corrected for their number (Holm), where there is a test."""
    from emotune.evaluation.rivals import ACCURACY, MACRO_F1
    from emotune.statistics.paired import holm

    corrected: list[dict[str, float]] = [{} for _ in found]
    for score, values in (
        (ACCURACY, [statistics.p_value for statistics in found]),
        (MACRO_F1, [statistics.macro_f1_p for statistics in found]),
    ):
        tested = [number for number, value in enumerate(values) if value is not None]
        for number, value in zip(tested, holm([value for value in values if value is not None]), strict=True):
            corrected[number][score] = value
    return corrected
