"""`emotune reproduce`: run the job of a saved folder again, and compare the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from emotune.cli.arguments import Folder

if TYPE_CHECKING:
    from emotune.reproduction import Reproduction


def reproduce(
    folder: Folder,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="The data, if it was a file or folder: results hold no paths.")
    ] = None,
    validation_data: Annotated[
        str | None, typer.Option(metavar="FILE", help="The file with the validation rows, if there was one.")
    ] = None,
    test_data: Annotated[
        str | None, typer.Option(metavar="FILE", help="The file with the test rows, if there was one.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The base model, if it was a local folder.")
    ] = None,
) -> None:
    """Run the job of a saved folder again, and compare the predictions row by row. The folder itself is only read.

    The exit code is 1 if the figures differ by more than the test rows can explain.

    Examples:
    $ emotune reproduce fine_tuned_lora_model
    $ emotune reproduce reviews_model --data reviews.csv
    """
    from emotune import pipeline
    from emotune.cli.console import ConsoleProgress
    from emotune.folder.format import read_description
    from emotune.reproduction import reproduce as run_again

    folded = read_description(folder).cross_validation is not None
    found = run_again(
        folder,
        data=data,
        validation=validation_data,
        test=test_data,
        model=model,
        progress=ConsoleProgress(pipeline.STEPS_OF_FOLDS if folded else pipeline.STEPS),
    )
    typer.echo(f"\n{in_words(found)}")
    if not found.agrees:
        raise typer.Exit(1)


def in_words(found: Reproduction) -> str:
    """Return the result in a few sentences."""
    from emotune.evaluation.words.formats import interval_in_points, signed_points
    from emotune.system.wording import counted

    rows = counted(len(found.again.split), "test row")
    if found.identical:
        return f"Reproduced: the same probabilities on {rows}, bit for bit."
    right, change = found.again.split.task.right, found.difference
    difference = (
        f"{counted(found.changed_labels, 'label')} of {rows} changed, {right} differs by {signed_points(change.estimate)} "
        f"({interval_in_points(change)}), and the largest difference of a probability is {found.largest_difference:.1e}."
    )
    versions = ", ".join(f"{name} {then} is now {now}" for name, (then, now) in found.other_versions.items())
    why = (
        f" Other versions: {versions}."
        if versions
        else (" The versions are the same; the machine, its threads or its libraries may be others.")
    )
    if found.agrees:
        return f"Reproduced within what the test rows can show, not bit for bit: {difference}{why}"
    return f"Not reproduced: {difference}{why}"
