"""The service behind all interfaces: finds models, checks texts, and asks the queue."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError

from emotune.serve.answers import Answers
from emotune.serve.batching import Batcher, Workers
from emotune.serve.errors import ANYTHING, RequestError
from emotune.serve.metrics import Metrics
from emotune.serve.models import Models, Served, default_name
from emotune.serve.settings import ServeSettings
from emotune.system.pairs import TextPair, blank_side
from emotune.system.text import is_unicode
from emotune.system.wording import listed

if TYPE_CHECKING:
    from emotune.serve.gate import RequestState


class Service:
    """Models, queue, metrics and limits, shared by the routes.

    Attributes:
        models: What is served.
        settings: The limits.
        metrics: The metrics.
        batcher: The queue.
        ready: False before the service takes requests, and once it stops.

    Args:
        models: What is served.
        settings: The settings.
    """

    def __init__(self, models: Models, settings: ServeSettings) -> None:
        self.models = models
        self.settings = settings
        self.metrics = Metrics()
        self.metrics.describe(models)
        # Once, since threads that compute alone change what PyTorch reports later.
        self._workers = Workers.on(models.device)
        self.batcher = self._new_batcher()
        self.metrics.watch(lambda: self.batcher.queued)
        self.ready = False
        self._stopped = False
        self._default = default_name(models.names, settings.default)

    def start(self) -> None:
        """Take requests; also after `stop`."""
        if self._stopped:
            self.batcher = self._new_batcher()
        self._stopped = False
        self.ready = True

    def stop(self) -> None:
        """Finish what was taken in, and take no more."""
        self.ready = False
        self._stopped = True
        self.batcher.close()

    def _new_batcher(self) -> Batcher:
        return Batcher(self.settings.max_queued_texts, self.metrics, self._workers)

    def find(self, name: str | None) -> Served:
        """Return the model of a name, or for None the default one.

        Raises:
            RequestError: There is none of this name.
        """
        try:
            return self.models.get(self._default if name is None else name)
        except KeyError:
            raise RequestError(
                404, "model_not_found", f"There is no model of this name. Ask one of {listed(self.models.names)}."
            ) from None

    async def ask(self, request: Request, served: Served, given: Sequence[str | Sequence[str]]) -> Answers:
        """Predict the texts of a request, or its pairs of texts, together with those of others.

        Raises:
            ClientGone: The client has left meanwhile.
            RequestError: There are no texts or too many, one cannot be classified, or the queue is full.
        """
        state: RequestState = request.scope["state"]["emotune"]
        state.model = served.name
        texts = as_texts(served, given)
        self._check(texts)
        state.texts = texts
        job = self.batcher.submit(served, texts)
        state.jobs.append(job)
        return await job.answer

    def tell(self, request: Request, labels: Sequence[str | None]) -> None:
        """Note the labels of a request's texts for the log."""
        request.scope["state"]["emotune"].labels = labels

    def _check(self, texts: Sequence[str]) -> None:
        if not texts:
            raise RequestError(422, "no_texts", "There is no text. Send at least one.")
        if len(texts) > self.settings.max_texts:
            raise RequestError(
                413,
                "too_many_texts",
                f"There are {len(texts):,} texts; at most {self.settings.max_texts:,} are possible per request. Send "
                "several requests.",
            )
        for number, text in enumerate(texts, start=1):
            if len(text) > self.settings.max_characters:
                raise RequestError(
                    422,
                    "text_too_long",
                    f"Text {number} has {len(text):,} characters; at most {self.settings.max_characters:,} are possible. "
                    "Shorten it.",
                )
            side = blank_side(text)
            if side is not None:
                where = f"Text {number}" if side == "text" else f"The {side} of pair {number}"
                raise RequestError(
                    422, "blank_text", f"{where} is blank: there is nothing to classify in it. Leave it out."
                )
            if "\0" in text or not is_unicode(text):
                what = "a NUL character" if "\0" in text else "half of a surrogate pair"
                raise RequestError(
                    422,
                    "invalid_text",
                    f"Text {number} holds {what}, so it is not text. Remove it, or leave the text out.",
                )


def as_texts(served: Served, given: Sequence[str | Sequence[str]]) -> tuple[str, ...]:
    """Return the texts of a request, or its pairs as `TextPair`s.

    Raises:
        RequestError: Some are single texts and the model takes pairs, or the other way round.
    """
    pairs = bool(served.predictor.pairs)
    for number, text in enumerate(given, start=1):
        if isinstance(text, str) == pairs:
            seen, expected = ("a single text", "pairs [first, second]") if pairs else ("a pair", "single texts")
            raise RequestError(422, "not_supported", f"Text {number} is {seen}, and this model takes {expected}.")
    return tuple(text if isinstance(text, str) else TextPair(*text) for text in given)


class _JsonRequest(Request):
    """Request whose body is read strictly: JSON in UTF-8, without half surrogate pairs."""

    async def json(self) -> Any:
        """Return the body's value.

        Raises:
            JSONDecodeError: It is not valid; FastAPI makes an error of the request of it.
        """
        if not hasattr(self, "_json"):
            try:
                self._json = ANYTHING.validate_json(await self.body())
            except ValidationError as error:
                reason = error.errors()[0].get("ctx", {}).get("error", "")
                raise json.JSONDecodeError(str(reason), "", 0) from None
        return self._json


class _JsonRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Any]:
        """Return the handler, which gets a `_JsonRequest`."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Any:
            return await handler(_JsonRequest(request.scope, request.receive))

        return handle


def json_router(tag: str) -> APIRouter:
    """Return a router whose routes read JSON strictly."""
    return APIRouter(route_class=_JsonRoute, tags=[tag])


def answer(value: Any) -> Response:
    """Return a response of JSON; what its model describes is tested and not checked again for each request."""
    return Response(ANYTHING.dump_json(value), media_type="application/json")
