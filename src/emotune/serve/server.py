"""Run the service: take the port, load the folders, serve until a signal, and finish what was taken in."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.serve.settings import ServeSettings
from emotune.system.errors import ConfigError, EmotuneError
from emotune.system.progress import SILENT, Progress
from emotune.system.text import reason_of
from emotune.system.wording import in_full

if TYPE_CHECKING:
    from emotune.serve.models import Models
    from emotune.serve.service import Service

# An idle connection is kept for longer than load balancers keep theirs, so that they close it first.
_KEEP_ALIVE_SECONDS = 75
_SWITCH_SECONDS = 0.0005


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address.

    Raises:
        ConfigError: The port is in use or needs rights, or the address is not one of this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigError(
            f"--host {in_full(host)} is not known: {reason_of(error)}. Give an address of this machine."
        ) from None
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"Port {port} on {host} is in use. Stop the program that uses it, or choose another with --port."
            ) from None
        raise ConfigError(
            f"Port {port} on {host} cannot be used: {error.strerror}. Choose another with --port or --host."
        ) from None
    return listening


def serve(
    folders: Iterable[str | Path],
    settings: ServeSettings,
    *,
    base: str | Path | None = None,
    precision: str = "auto",
    device: str = "auto",
    progress: Progress = SILENT,
    started: Callable[[str, Models], Any] = lambda address, models: None,
) -> None:
    """Serve folders until SIGTERM or SIGINT; SIGHUP reloads those that have changed.

    Args:
        folders: As for `Models.open`.
        settings: The settings.
        base: As for `Models.open`.
        precision: As for `Models.open`.
        device: As for `Models.open`.
        progress: As for `Models.open`.
        started: Called with the address and the models once the service takes requests.

    Raises:
        EmotuneError: The folders cannot be loaded, or the port cannot be used.
    """
    # Mistakes are found before seconds are spent on loading.
    from emotune.serve.models import Models, check_folders, default_name

    folders = list(folders)
    default_name(check_folders(folders, base), settings.default)
    with listening_socket(settings.host, settings.port) as listening:
        models = Models.open(folders, base=base, precision=precision, device=device, progress=progress)
        _run(models, settings, listening, started)


def _run(
    models: Models, settings: ServeSettings, listening: socket.socket, started: Callable[[str, Models], Any]
) -> None:
    import uvicorn

    from emotune.serve.app import make_app
    from emotune.serve.logs import set_up, write

    set_up()
    # A thread that predicts gives up the interpreter's lock at every matrix product. By default it would get it back
    # from a busy event loop only after 5 ms.
    sys.setswitchinterval(_SWITCH_SECONDS)
    app = make_app(models, settings)
    service: Service = app.state.service
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
    )
    server = uvicorn.Server(config)
    address = _address(settings.host, listening)

    async def main() -> None:
        if hasattr(signal, "SIGHUP"):
            reloading = threading.Lock()
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(
                signal.SIGHUP, lambda: threading.Thread(target=_reload, args=(service, reloading)).start()
            )
        announced = asyncio.create_task(_announce(server, address, models, started))
        await server.serve(sockets=[listening])
        await announced

    # Uvicorn raises the signal that ended it once more; the service has ended as asked, which is no failure.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(main())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    write(logging.INFO, "stopped")


async def _announce(server: Any, address: str, models: Models, started: Callable[[str, Models], Any]) -> None:
    from emotune.serve.logs import write

    while not server.started and not server.should_exit:
        await asyncio.sleep(0.01)
    if server.started:
        started(address, models)
        write(logging.INFO, "started", address=address, models=list(models.names))


def _address(host: str, listening: socket.socket) -> str:
    port = listening.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reload(service: Service, reloading: threading.Lock) -> None:
    """Reload every folder that has changed; one that cannot be loaded leaves its old model in place."""
    from emotune.serve.logs import write

    with reloading:
        for name in service.models.names:
            try:
                outcome = "changed" if service.models.reload(name) else "unchanged"
            except EmotuneError as error:
                outcome = "failed"
                write(logging.ERROR, "reload", model=name, outcome=outcome, reason=str(error))
            else:
                write(logging.INFO, "reload", model=name, outcome=outcome)
            service.metrics.reloads.labels(name, outcome).inc()
        service.metrics.describe(service.models)
