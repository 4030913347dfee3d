"""`emotune sweep`: compare methods, models and settings, with several seeds each, on the same data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotune.cli.examples import example_words
from emotune.cli.run import FLAGS as RUN_FLAGS
from emotune.cli.settings import Flag, overrides, with_flags

if TYPE_CHECKING:
    from emotune.settings.layers import Override
    from emotune.sweep.engines import Engine
    from emotune.sweep.folder import SweepFolder
    from emotune.sweep.plan import Plan

# Settings of a run that apply to every trial; a sweep has its own options for methods, models and the folder.
FLAGS = {
    name: flag
    for name, flag in RUN_FLAGS.items()
    if not flag.key.startswith("method.")
    and flag.key not in ("model.name", "output.folder", "output.overwrite", "training.resume", "baselines.margin")
}
FLAGS["seeds"] = Flag(
    "training.seeds",
    "N",
    "Number of seeds per configuration, from `seed` on: all are scored and compared. A single seed hides the "
    "variation between seeds.",
    "3",
)
ENGINES = ("local", "ray")


@with_flags(FLAGS)
def sweep(
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Start from a preset of sweeps; `emotune presets` lists them.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Read settings from a TOML file with a \\[sweep] table; they override the preset."
        ),
    ] = None,
    methods: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Methods to compare; all of them if not given.")
    ] = None,
    models: Annotated[str | None, typer.Option(metavar="MODEL,MODEL", help="Base models to compare.")] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=V1,V2",
            help="Try each of these values of a setting, as in training.learning_rate=1e-4,1e-3; repeat for all "
            "combinations.",
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="First search each configuration's settings on validation, N trials each: those of \\[sweep.search], "
            "or the learning rate.",
        ),
    ] = None,
    margin: Annotated[
        str | None,
        typer.Option(
            metavar="POINTS",
            help="Test which configurations are not worse than the best, and than full fine-tuning, by more than this "
            "many points of accuracy.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Set any setting for all trials, as in training.patience=3; repeat for more.",
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder for the sweep. [dim]\\[default: sweep][/dim]")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue an interrupted sweep; finished trials are not run again, failed ones are."
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace the sweep in the folder, once data and models have been loaded."),
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            metavar="local|ray", help="Run trials on this machine, or on the Ray cluster that RAY_ADDRESS names."
        ),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Trials at a time; 1 if not given, on a Ray cluster one per machine."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the trials and exit.")] = False,
    **flags: str | bool | None,
) -> None:
    """Train many configurations, several seeds each, on the same data; rank them by validation; compare them on the same test rows.

    The folder gets a leaderboard as a page, as Markdown and as JSON, and the best model in `best`. A trial that fails
    does not affect the others; the command then ends with exit code 1.

    Examples:
    $ emotune sweep --preset small
    $ emotune sweep --methods lora,full --models bundled:minilm --data bundled:sample --margin 1
    $ emotune sweep --preset shoot-out --dry-run
    $ emotune sweep --methods lora --grid method.r=4,16 --grid training.learning_rate=5e-4,1e-3
    $ emotune sweep --methods lora --search 30 --engine ray
    """
    from emotune.settings.layers import Override
    from emotune.sweep.settings import load_plan
    from emotune.system.errors import ConfigError

    if resume and overwrite:
        raise ConfigError("--resume continues the existing sweep, and --overwrite deletes it. Give one of them.")
    shared = overrides(FLAGS, flags)
    if output is not None:
        shared.append(Override("output.folder", output, "--output"))
    for given, key, place in ((resume, "training.resume", "--resume"), (overwrite, "output.overwrite", "--overwrite")):
        if given:
            shared.append(Override(key, True, place))
    plan = load_plan(
        preset, config, [*shared, *(settings or [])], _sweep_settings(methods, models, grid, search, margin)
    )
    _check_extras(engine, plan)
    if dry_run:
        _list(plan)
        return

    from emotune.cli.console import ConsoleProgress, command_name
    from emotune.evaluation.words.formats import duration
    from emotune.sweep import job
    from emotune.system.text import printable

    def make_engine(folder: SweepFolder) -> Engine:
        if engine == "ray":
            from emotune.sweep.ray_engine import RayEngine

            return RayEngine(workers)
        from emotune.sweep.engines import LocalEngine

        return LocalEngine(workers or 1, folder.work)

    try:
        result = job.sweep(plan, make_engine, ConsoleProgress(job.steps(plan)))
    except KeyboardInterrupt as error:
        from emotune.sweep.folder import STAMP

        begun = (plan.folder / STAMP).is_file()
        going_on = "Finished trials are kept; the same command with --resume continues from there."
        kept = going_on if begun else "Nothing was started; run it again."
        raise KeyboardInterrupt(kept) from error
    typer.echo(f"\nDone in {duration(result.seconds)}. The leaderboard is {printable(str(result.report))}")
    best = printable(shlex.quote(str(result.folder / "best")))
    base = f" --base {printable(shlex.quote(result.local_base))}" if result.local_base else ""
    typer.echo(f"The best model is in {best}; try it:")
    typer.echo(f"  {printable(command_name())} predict {best}{base} {example_words(result.pairs)}")
    if result.leaderboard.failures:
        from emotune.cli.console import print_error
        from emotune.system.wording import counted

        count = counted(len(result.leaderboard.failures), "trial")
        print_error(f"{count} failed; the leaderboard says why. The same command with --resume tries them again.")
        raise typer.Exit(1)


def _sweep_settings(
    methods: str | None, models: str | None, grid: list[str] | None, search: str | None, margin: str | None
) -> list[Override]:
    """Return the settings of the [sweep] table for the given options."""
    from emotune.settings.layers import Override

    found = []
    if methods is not None:
        found.append(Override("methods", "all" if methods == "all" else _names(methods), "--methods"))
    if models is not None:
        found.append(Override("models", _names(models), "--models"))
    found += [Override("grid", item, "--grid") for item in grid or []]
    if search is not None:
        found.append(Override("searched", int(search) if search.isdecimal() else search, "--search"))
    if margin is not None:
        found.append(Override("margin", _number(margin), "--margin"))
    return found


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _check_extras(engine: str, plan: Plan) -> None:
    """Refuse an engine or a search whose packages are not installed, before any work.

    Raises:
        ConfigError: Names the pip line.
    """
    from emotune.system.errors import ConfigError
    from emotune.system.extras import require

    if engine not in ENGINES:
        raise ConfigError(f"--engine is {engine!r}; expected one of {', '.join(ENGINES)}.")
    if plan.searched:
        require("search", ["optuna"], "--search")
    if engine == "ray":
        require("ray", ["ray"], "--engine ray")


def _list(plan: Plan) -> None:
    """Print the trials, without running any."""
    from emotune.system.text import printable
    from emotune.system.wording import counted

    for candidate in plan.candidates:
        searched = f" (after {plan.searched} searched trials of {', '.join(candidate.ranges)})" if plan.searched else ""
        for seed in plan.seeds:
            typer.echo(printable(candidate.trial(seed).label) + searched)
    total = len(plan.candidates) * (len(plan.seeds) + plan.searched)
    typer.echo(f"{counted(total, 'trial')} in all; nothing was run.")
