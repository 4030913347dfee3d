"""`emotune verify`: check that a saved folder reproduces its saved predictions."""

from __future__ import annotations

import typer

from emotune.cli.arguments import Base, Folder


def verify(folder: Folder, base: Base = None) -> None:
    """Load a saved folder in a fresh process, and require its saved predictions.

    A folder that transformers or PEFT saved has none: it is loaded in two processes, which have to agree.

    The exit code is 1 if they differ.

    Example:
    $ emotune verify fine_tuned_lora_model
    """
    from emotune.folder.verify import verify as verify_folder
    from emotune.system.wording import counted, enumerated

    found = verify_folder(folder, base=base)
    if not found.was_saved:
        typer.echo(
            f"It loads, and gives the same logits on {counted(found.rows, 'text')} in two fresh processes: with emotune's arithmetic "
            f"and with the modules of transformers; largest difference {found.largest_difference:.1e} ({found.tolerance:g} passes).\n"
            "emotune did not save it, so there are no results or checksums to compare with."
        )
        return
    typer.echo(
        f"Verified: the same labels on {counted(found.rows, 'row')}, "
        f"largest difference {found.largest_difference:.1e} ({found.tolerance:g} passes)."
    )
    if found.left_out:
        typer.echo(
            f"Not checked: {enumerated(found.left_out)}, left out when the folder was pushed (--without-texts). "
            "The model's files and its logits were."
        )
