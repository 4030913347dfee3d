"""`emotune push`: put a saved folder on the Hugging Face Hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotune.cli.examples import example_words
from emotune.system.errors import ConfigError

if TYPE_CHECKING:
    from emotune.publish.push import Pushed


def push(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `emotune run` saved; it is only read.")],
    name: Annotated[str, typer.Argument(metavar="USER/NAME", help="Name on the Hub; created if there is none.")],
    public: Annotated[bool, typer.Option("--public", help="Let everybody see it; it is private otherwise.")] = False,
    with_texts: Annotated[
        bool | None,
        typer.Option(
            "--with-texts/--without-texts",
            show_default=False,
            help="Push the files with texts of the data, or leave them out; asked for if not given.",
        ),
    ] = None,
    license: Annotated[
        str | None, typer.Option(metavar="ID", help="Licence for the model card, such as apache-2.0.")
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Language of the texts for the model card, such as en; can be repeated."),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Branch to push to; main if not given.")
    ] = None,
    message: Annotated[str | None, typer.Option(metavar="TEXT", help="Message of the commit.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the files of a repository that emotune did not push.")
    ] = False,
) -> None:
    """Put a saved folder on the Hugging Face Hub, in one commit, private unless told otherwise.

    The login is that of the Hub's own tools: `hf auth login`, or a token in HF_TOKEN.

    Examples:
    $ emotune push fine_tuned_lora_model user/emotions --without-texts
    $ emotune push fine_tuned_lora_model user/emotions --public --with-texts --license apache-2.0 --language en
    """
    from emotune.cli.console import print_notice
    from emotune.publish.push import push as push_folder

    if with_texts is None:
        with_texts = _answer(folder, name, public=public)
    done = push_folder(
        folder,
        name,
        private=not public,
        with_texts=with_texts,
        revision=revision,
        message=message,
        language=language or (),
        license=license,
        overwrite=overwrite,
    )
    for note in done.notes:
        print_notice(note)
    if done.unknown:
        print_notice(f"Not pushed, since emotune does not know them: {', '.join(done.unknown)}.")
    for line in in_words(done):
        typer.echo(line)


def in_words(done: Pushed) -> list[str]:
    """Return the lines about a finished push: what is where, and how it is loaded."""
    from emotune.system.wording import counted, enumerated

    what = f"{counted(len(done.files), 'file')} in one commit" if done.changed else "it was there already, unchanged"
    without = f", without {enumerated(done.left_out)}" if done.left_out else ""
    return [
        f"Pushed to {done.url} ({'private' if done.private else 'public'}): {what}{without}.",
        "",
        f"  emotune predict {done.name}@{done.commit} {example_words(done.pairs)}",
    ]


def _answer(folder: Path, name: str, *, public: bool) -> bool | None:
    """Ask on a terminal whether the texts of a folder may leave this machine; None where nobody can be asked."""
    if not _can_ask():
        return None  # the library refuses, and names the options
    from emotune.cli.console import print_notice
    from emotune.folder.format import read_description
    from emotune.publish.texts import files_with_texts, in_words

    read_description(folder)
    found = files_with_texts(folder)
    if not found:
        return None
    print_notice(f"{folder} holds texts of the data: {in_words(found)}.")
    seen_by = "everybody" if public else "everybody who may see this private repository"
    if not typer.confirm(f"Push them to {name}, for {seen_by}?", default=False, err=True):
        raise ConfigError("Nothing was pushed. To push the model without these files, add --without-texts.")
    return True


def _can_ask() -> bool:
    """Return whether somebody is there who sees a question and can answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()
