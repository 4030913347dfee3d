"""The service's web page: static files, and the few questions that only the page asks.

The page asks for predictions over the service's public routes, as any client does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Protocol

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field

import emotune.report
from emotune.folder.files import REPORT
from emotune.serve.explaining import Background, Backgrounds, Served, marked
from emotune.serve.facts import facts_of
from emotune.system.errors import EmotuneError
from emotune.system.pairs import TextPair, blank_side
from emotune.system.text import printable

STATIC = Path(__file__).with_name("static")
# The page looks like the report: it uses its stylesheet, and adds to it.
FILES = {
    **{path.name: path for path in STATIC.iterdir() if path.suffix in (".js", ".css", ".svg")},
    "style.css": Path(emotune.report.__file__).with_name("style.css"),
}
# What a browser loads before the page can ask for a key.
OPEN_PATHS = ("/", "/index.html", "/static/")
MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
# Explaining a text costs 24 times its prediction with gradients; longer texts are cut by the model anyway.
LONGEST_EXPLAINED = 2_000
LONGEST_TEXT = 20_000
# Questions that wait for the one being answered; more are refused.
MOST_WAITING = 8
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
PAGE_POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# A report is one file without scripts; its styles are in it.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"


class Models(Protocol):
    """The models of the service."""

    def get(self, name: str) -> Served:
        """Return a model, or raise KeyError if there is none of this name."""


class Question(BaseModel):
    """A text for the base model, or a pair of texts."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    text_pair: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = None


class WordsQuestion(BaseModel):
    """A text or a pair, and the label that its words are weighed for."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=LONGEST_EXPLAINED)]
    text_pair: Annotated[str, Field(max_length=LONGEST_EXPLAINED)] | None = None
    label: str


def page_router(models: Models, *, base: str | Path | None = None) -> APIRouter:
    """Return the routes of the page.

    Args:
        models: The models of the service.
        base: The base model's location, for folders whose base was a local folder.
    """
    router = APIRouter(include_in_schema=False)
    backgrounds = Backgrounds(base)
    # One question at a time, so that the page takes one thread of those that answer predictions.
    turn = CapacityLimiter(1)

    @router.get("/")
    @router.get("/index.html")
    def page() -> FileResponse:
        return _file(STATIC / "index.html", PAGE_POLICY)

    @router.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in FILES:
            return refusal(404, "not_found", "The page has no such file.")
        return _file(FILES[name], PAGE_POLICY)

    def find(name: str) -> Served | None:
        try:
            return models.get(name)
        except KeyError:
            return None

    @router.get("/page/{name}")
    async def facts(name: str) -> Response:
        served = find(name)
        if served is None:
            return unknown(name)
        try:
            found = await to_thread.run_sync(facts_of, served.folder)
        except (EmotuneError, OSError) as error:
            return refusal(409, "not_available", _without_path(str(error), served.folder))
        return JSONResponse(found, headers=HEADERS)

    @router.get("/page/{name}/report")
    def report(name: str) -> Response:
        served = find(name)
        if served is None:
            return unknown(name)
        path = served.folder / REPORT
        if not path.is_file():
            return refusal(404, "not_found", f"The folder of {name} has no {REPORT}: emotune run writes it.")
        return _file(path, REPORT_POLICY)

    @router.post("/page/{name}/base")
    async def before(name: str, question: Question, request: Request) -> Response:
        def answer(background: Background, text: str) -> dict[str, Any]:
            found = background.before([text])
            predictions = found.predictions
            return {
                "name": found.name,
                "is_chance": found.is_chance,
                "label": predictions.labels[0],
                "probabilities": dict(zip(predictions.label_names, predictions.probabilities[0].tolist(), strict=True)),
            }

        served = find(name)
        return unknown(name) if served is None else await answered(served, question, request, answer)

    @router.post("/page/{name}/words")
    async def words(name: str, question: WordsQuestion, request: Request) -> Response:
        served = find(name)
        if served is None:
            return unknown(name)
        if question.label not in served.predictor.labels:
            return refusal(
                422, "unknown_label", f"The label is none of the model's: {', '.join(served.predictor.labels)}."
            )

        def answer(background: Background, text: str) -> dict[str, Any]:
            found = background.words(text, question.label)
            return {"label": question.label, "words": None if found is None else marked(found)}

        return await answered(served, question, request, answer)

    async def answered(
        served: Served,
        question: Question | WordsQuestion,
        request: Request,
        answer: Callable[[Background, str], dict[str, Any]],
    ) -> Response:
        """Answer in a thread, after the questions before it."""
        if bool(served.predictor.pairs) != (question.text_pair is not None):
            seen, expected = ("a single text", "pairs") if served.predictor.pairs else ("a pair", "single texts")
            return refusal(422, "not_supported", f"This is {seen}, and this model takes {expected}.")
        text = question.text if question.text_pair is None else TextPair(question.text, question.text_pair)
        side = blank_side(text)
        if side is not None:
            return refusal(422, "blank_text", f"The {side} is blank: there is nothing to classify in it.")
        if turn.statistics().tasks_waiting >= MOST_WAITING:
            return refusal(429, "busy", "The service is busy. Try again in a few seconds.", {"Retry-After": "2"})
        async with turn:
            # Who types on has given up the questions about earlier texts.
            if await request.is_disconnected():
                return Response(status_code=499)
            try:
                found = await to_thread.run_sync(lambda: answer(backgrounds.of(served), text))
            except EmotuneError as error:
                return refusal(409, "not_available", _without_path(str(error), served.folder))
        return JSONResponse(found, headers=HEADERS | {"Cache-Control": "no-store"})

    return router


def refusal(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error in the service's form."""
    return JSONResponse({"error": {"type": kind, "message": message}}, status, HEADERS | (headers or {}))


def unknown(name: str) -> JSONResponse:
    """Return the error of a name that no model has."""
    return refusal(
        404, "unknown_model", f"There is no model of the name {printable(name, 80)!r}. GET /v1/models lists them."
    )


def _file(path: Path, policy: str) -> FileResponse:
    kind = MEDIA_TYPES[path.suffix]
    return FileResponse(path, media_type=kind, headers=HEADERS | {"Content-Security-Policy": policy})


def _without_path(message: str, folder: Path) -> str:
    """Return a message without the place of the folder on the server."""
    return message.replace(str(folder), folder.name)
