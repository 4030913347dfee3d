"""`emotune compare`: saved models on identical test rows, and what the differences are worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotune.errors import ConfigError

if TYPE_CHECKING:
    from emotune.evaluation.scores import Evaluation
    from emotune.report.html import Report


def compare(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR DIR...", help="Folders that `emotune run` saved; the first is compared with."),
    ],
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to write the report, one page that needs no network.")
    ] = Path("emotune_comparison.html"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the report that stands there.")] = False,
) -> None:
    """Compare saved models by their predictions on the same test rows; no model is loaded.

    Every later folder is compared with the first: tests and intervals are paired, row by row. Where there are several, their p-values are
    corrected for it (Holm).

    Examples:
    $ emotune compare fine_tuned_lora_model other_model
    $ emotune compare seed_0 seed_1 seed_2 --output seeds.html
    """
    from emotune.artifact import read_description
    from emotune.cli.console import make_console
    from emotune.evaluation.saved import read_evaluation
    from emotune.output import open_output
    from emotune.report.html import MARK, render_report
    from emotune.report.tables import comparison_table, ranking_table
    from emotune.text import printable

    if len(folders) < 2:
        raise ConfigError(f"There is one folder to compare, {folders[0]}. Give at least two.")
    places = [folder.resolve() for folder in folders]
    twice = next((folder for folder, place in zip(folders, places, strict=True) if places.count(place) > 1), None)
    if twice is not None:
        raise ConfigError(f"The folder {twice} is given twice. A model does not differ from itself.")
    names = [place.name for place in places]
    if len(set(names)) < len(names):
        names = [f"{place.parent.name}/{place.name}" for place in places]
    with open_output(output, overwrite, mark=MARK) as target:
        evaluations = [read_evaluation(folder, name=name) for folder, name in zip(folders, names, strict=True)]
        pages = reports(evaluations, [read_description(folder).get("temperature") for folder in folders])
        target.write(render_report(*pages))
    console = make_console()
    if len(pages) == 1:
        console.print(comparison_table(pages[0].comparison, changes=True))
    else:
        console.print(ranking_table([page.comparison for page in pages], [page.verdict for page in pages]))
    typer.echo(f"\nThe report is {printable(str(output.resolve()))}")


def reports(evaluations: Sequence[Evaluation], temperatures: Sequence[float | None]) -> list[Report]:
    """One page's content: every later model against the first, p-values corrected for their number."""
    from emotune.artifact import versions
    from emotune.evaluation.calibration import assess
    from emotune.evaluation.comparison import compare as compare_evaluations
    from emotune.evaluation.paired import holm
    from emotune.portable import command
    from emotune.report.html import Report
    from emotune.report.verdict import verdict

    first, *others = evaluations
    comparisons = [compare_evaluations(first, other) for other in others]
    adjusted = holm([comparison.statistics.p_value for comparison in comparisons])
    subtitle = "Saved predictions, row by row."
    if len(comparisons) > 1:
        subtitle += f" The verdict's p-value is corrected for {len(comparisons)} comparisons (Holm)."
    return [
        Report(
            title=f"{comparison.after.name} against {first.name}",
            subtitle=subtitle,
            comparison=comparison,
            verdict=verdict(comparison, p),
            trust=None
            if comparison.after.probabilities is None
            else assess(comparison.after.split.label_ids, comparison.after.probabilities, temperature),
            commands=[command()] if command() else [],
            versions=versions(),
        )
        for comparison, p, temperature in zip(comparisons, adjusted, temperatures[1:], strict=True)
    ]
