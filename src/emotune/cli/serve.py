"""`emotune serve`: put saved folders behind HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emotune.cli.arguments import Base, Device, Precision

if TYPE_CHECKING:
    from emotune.serve.models import Models


def serve(
    folders: Annotated[
        list[str],
        typer.Argument(metavar="DIR...", help="Folders that `emotune run` saved; NAME=DIR names the model otherwise."),
    ],
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on; 127.0.0.1 if not given.")
    ] = None,
    port: Annotated[int | None, typer.Option(metavar="N", help="Port to listen on; 8000 if not given.")] = None,
    default: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Model of the routes without a model's name; the first folder if not given."),
    ] = None,
    base: Base = None,
    api_keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File of API keys, one per line; EMOTUNE_API_KEYS may hold some as well."),
    ] = None,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Serve the web page.")] = True,
    log_texts: Annotated[bool, typer.Option("--log-texts", help="Write texts and their labels into the log.")] = False,
    max_body_bytes: Annotated[
        int | None, typer.Option(metavar="N", help="Longest body of a request; 2,000,000 if not given.")
    ] = None,
    max_texts: Annotated[
        int | None, typer.Option(metavar="N", help="Most texts per request; 1,000 if not given.")
    ] = None,
    max_characters: Annotated[
        int | None, typer.Option(metavar="N", help="Longest text, in characters; 20,000 if not given.")
    ] = None,
    max_queued_texts: Annotated[
        int | None, typer.Option(metavar="N", help="Most texts that wait at a time; 4,000 if not given.")
    ] = None,
    grace_seconds: Annotated[
        float | None,
        typer.Option(metavar="S", help="Time that accepted requests get when the service stops; 30 if not given."),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Serve saved folders over HTTP, until Ctrl-C or SIGTERM.

    Clients of Text Embeddings Inference, of the Hugging Face inference API and of the Open Inference Protocol can use it
    as well as the routes of /v1. SIGHUP reloads the folders that have changed. Folders on one base model share it.

    Examples:
    $ emotune serve fine_tuned_lora_model
    $ emotune serve fine_tuned_lora_model other=models/2026-11 --port 8080 --api-keys keys.txt
    """
    from emotune.system.extras import require

    require("serve", ("fastapi", "prometheus_client", "uvicorn"), "emotune serve")
    from emotune.cli.console import ConsoleProgress, make_console
    from emotune.serve.server import serve as serve_folders
    from emotune.serve.settings import ServeSettings, read_keys
    from emotune.system.options import read_options

    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "default": default,
        "max_body_bytes": max_body_bytes,
        "max_texts": max_texts,
        "max_characters": max_characters,
        "max_queued_texts": max_queued_texts,
        "grace_seconds": grace_seconds,
    }
    settings = read_options(ServeSettings, given | {"page": page, "log_texts": log_texts, "keys": read_keys(api_keys)})

    def started(address: str, models: Models) -> None:
        typer.echo(f"Serving {', '.join(models.names)} at {address}. Stop with Ctrl-C.")
        _warn_about_the_network(settings.host, bool(settings.keys))

    progress = ConsoleProgress(1, make_console(stderr=True))
    serve_folders(folders, settings, base=base, precision=precision, device=device, progress=progress, started=started)


def _warn_about_the_network(host: str, has_keys: bool) -> None:
    from emotune.cli.console import print_notice

    if host not in ("127.0.0.1", "localhost", "::1") and not has_keys:
        print_notice("Everybody who reaches this address can use the models. To ask for keys, add --api-keys FILE.")
