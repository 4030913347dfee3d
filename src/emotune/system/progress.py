"""How long work shows itself: a protocol that the library talks to, silent unless a front end such as the command listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """What a front end implements to show a job's steps."""

    def step(self, title: str) -> AbstractContextManager[None]:
        """A numbered step of the job; the front end shows its title at the start and its time at the end."""

    def say(self, text: str) -> None:
        """One line of result or notice, in plain text."""

    def show(self, renderable: Any) -> None:
        """Something larger: a Rich table or the like."""

    def bar(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """A progress bar of `total` units; call what the context manager gives with the number of units done."""


class Silent:
    """Shows nothing: the default of every library call."""

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
        """Give a function that counts nothing."""
        yield lambda units: None


SILENT: Progress = Silent()
