"""`emotune demo`: open the service's web page on a saved folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from emotune.cli.arguments import Base, whole_number

if TYPE_CHECKING:
    from emotune.serve.models import Models


def demo(
    folders: Annotated[
        list[str],
        typer.Argument(metavar="DIR...", help="Folders that `emotune run` saved; NAME=DIR names the model otherwise."),
    ],
    port: Annotated[
        int,
        typer.Option(
            metavar="N", parser=whole_number("--port", 0), help="Port to listen on; any free one if not given."
        ),
    ] = 0,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser; without, only print its address.")
    ] = True,
    base: Base = None,
) -> None:
    """Open a web page that labels messages with a saved model, until Ctrl-C.

    The page and the model are on this machine alone: the service listens on 127.0.0.1, and nothing comes from the
    network. To give others the page, use emotune serve.

    Examples:
    $ emotune demo fine_tuned_lora_model
    $ emotune demo fine_tuned_lora_model other=models/2026-11 --port 8080 --no-open
    """
    from emotune.system.extras import require

    require("serve", ("fastapi", "prometheus_client", "uvicorn"), "emotune demo")
    import logging
    import webbrowser
    from threading import Thread

    from emotune.serve.logs import LOGGER
    from emotune.serve.server import serve
    from emotune.serve.settings import ServeSettings

    def started(address: str, models: Models) -> None:
        LOGGER.setLevel(logging.WARNING)  # a line per request tells the only user of the page nothing
        typer.echo(f"The page of {', '.join(models.names)}: {address}/ (stop with Ctrl-C)")
        if open_browser:
            # In a thread, since a browser in the terminal keeps the call waiting, and the service must answer it.
            Thread(target=webbrowser.open, args=(f"{address}/",), daemon=True).start()

    serve(folders, ServeSettings(port=port), base=base, started=started)
