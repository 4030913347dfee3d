"""Progress of long tasks: a protocol that the library calls; a front end such as the command implements it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """Interface of a front end that shows a job's steps."""

    def step(self, title: str) -> AbstractContextManager[None]:
        """Show a numbered step of the job: its title at the start and its time at the end."""

    def say(self, text: str) -> None:
        """Show one line, a result or a notice, in plain text."""

    def show(self, renderable: Any) -> None:
        """Show a Rich renderable such as a table."""

    def bar(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Show a progress bar of `total` units, 0 if unknown; call the yielded function with the number of units done."""


class Silent:
    """Progress that shows nothing: the default of every library call."""

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Do nothing around the step."""
        yield

    def say(self, text: str) -> None:
        """Drop the line."""

    def show(self, renderable: Any) -> None:
        """Drop the renderable."""

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Advance]:
        """Yield a function that does nothing."""
        yield lambda units: None


SILENT: Progress = Silent()
