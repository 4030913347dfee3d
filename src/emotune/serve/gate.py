"""What every request passes: its id, its key, the limits on its body, and the log and metrics of its answer."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emotune.serve.batching import Job
from emotune.serve.errors import ClientGone, RequestError, render
from emotune.serve.logs import write
from emotune.serve.metrics import Metrics
from emotune.serve.settings import ServeSettings

# The types of the ASGI specification.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# What a probe of an orchestrator asks without a key; it learns only whether the service works.
OPEN = ("/health", "/ready", "/v2/health/live", "/v2/health/ready")
# Routes whose every success would fill the log.
_QUIET = (*OPEN, "/metrics")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# Status of requests whose client left before the answer, as nginx logs it; it is never sent.
GONE = 499
# A client that sends too much is listened to for a while, since many read no answer before they have sent everything.
_DRAINED_BYTES = 64_000_000
_DRAINED_SECONDS = 5.0


@dataclass
class RequestState:
    """What is known about a request while it is answered.

    Attributes:
        request_id: Its id, the client's own or a new one.
        jobs: Its jobs in the queue, dropped if the client leaves.
        model: Name of the model it asks.
        texts: Its texts.
        labels: Their labels.
    """

    request_id: str
    jobs: list[Job] = field(default_factory=list)
    model: str | None = None
    texts: Sequence[str] = ()
    labels: Sequence[str | None] = ()

    def leave(self) -> None:
        """Drop what nobody waits for any more."""
        for job in self.jobs:
            job.abandon()


class Gate:
    """ASGI middleware around the whole application.

    Args:
        app: The application.
        settings: Limits and keys.
        metrics: Told about every answer.
        open_paths: Paths that need no key, besides those of probes; one that ends in / stands for all
            below it, except / itself.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: Metrics, open_paths: Sequence[str] = ()) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        # Digests have one length, so the time of a comparison tells nothing about a key.
        self._keys = [hashlib.sha256(key.encode()).digest() for key in settings.keys]
        self._open = (*OPEN, *open_paths)
        self._random = random.Random()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        state = RequestState(self._request_id(scope))
        scope.setdefault("state", {})["emotune"] = state
        sent = _Sent(send, state.request_id)
        try:
            await self._answer(scope, receive, sent, state)
        except ClientGone:
            sent.status = GONE
        finally:
            state.leave()
            self._note(scope, state, sent.status or 500, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, sent: _Sent, state: RequestState) -> None:
        try:
            self._check_head(scope)
            body = await self._body(scope, receive)
        except RequestError as error:
            await self._refuse(scope, receive, sent, state, error)
            return
        # From here on the only news from the client is that it has left.
        left = asyncio.ensure_future(_disconnected(receive))
        left.add_done_callback(lambda done: None if done.cancelled() else state.leave())
        given = False

        async def replay() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            await asyncio.shield(left)
            return {"type": "http.disconnect"}

        try:
            await self._app(scope, replay, sent)
        finally:
            left.cancel()

    def _check_head(self, scope: Scope) -> None:
        """Refuse a request without a valid key, of another type than JSON, or announced as too long.

        Raises:
            RequestError: It is refused.
        """
        headers = {name: value for name, value in scope["headers"] if name in _READ}
        if self._keys and not self._is_open(scope["path"]):
            self._check_key(headers.get(b"authorization"))
        if scope["method"] not in ("POST", "PUT", "PATCH"):
            return
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise RequestError(
                415,
                "not_json",
                "The body is not declared as JSON. Send the header Content-Type: application/json.",
            )
        if b"inference-header-content-length" in headers:
            raise RequestError(
                415, "not_supported", 'Binary tensors are not supported. Send the tensors as JSON, in "data".'
            )
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._settings.max_body_bytes:
            raise self._too_long()

    def _is_open(self, path: str) -> bool:
        return any(
            path == known or (known.endswith("/") and known != "/" and path.startswith(known)) for known in self._open
        )

    def _check_key(self, header: bytes | None) -> None:
        scheme, _, token = (header or b"").partition(b" ")
        digest = hashlib.sha256(token.strip()).digest()
        # All keys are compared, so that the time does not tell which of them is similar.
        matches = sum(hmac.compare_digest(digest, key) for key in self._keys)
        if scheme.lower() != b"bearer" or not matches:
            seen = "The API key is not known" if header else "There is no API key"
            raise RequestError(
                401,
                "unauthorized",
                f"{seen}. Send one of the service's keys in the header Authorization: Bearer KEY.",
                {"WWW-Authenticate": "Bearer"},
            )

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Read the body, and stop as soon as it is too long or takes too long.

        Raises:
            ClientGone: The client has left.
            RequestError: It is too long, or too slow.
        """
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    part = message.get("body", b"")
                    size += len(part)
                    if size > self._settings.max_body_bytes:
                        raise self._too_long()
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise RequestError(
                408,
                "body_too_slow",
                f"The body did not arrive within {self._settings.body_seconds:g} seconds. Send it faster, or in parts.",
                {"Connection": "close"},
            ) from None

    def _too_long(self) -> RequestError:
        return RequestError(
            413,
            "body_too_large",
            f"The body is longer than {self._settings.max_body_bytes:,} bytes. Send fewer texts per request.",
            {"Connection": "close"},
        )

    async def _refuse(
        self, scope: Scope, receive: Receive, sent: _Sent, state: RequestState, error: RequestError
    ) -> None:
        body = render(error, scope["path"], state.request_id)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(error.headers or {})}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await sent({"type": "http.response.start", "status": error.status_code, "headers": raw})
        await sent({"type": "http.response.body", "body": body, "more_body": True})
        if error.kind in ("body_too_large", "unauthorized", "not_json", "not_supported"):
            await _drain(receive)
        await sent({"type": "http.response.body", "body": b"", "more_body": False})

    def _request_id(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value.decode("latin-1")
                if _REQUEST_ID.fullmatch(given):
                    return given
        # Unique, not secret; asking the system for randomness would let go of the interpreter's lock.
        return f"{self._random.getrandbits(128):032x}"

    def _note(self, scope: Scope, state: RequestState, status: int, seconds: float) -> None:
        # The template of the route, since paths are chosen by clients and would make ever more time series.
        route = getattr(scope.get("route"), "path", None) or "none"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if route in _QUIET and status < 400:
            return
        fields: dict[str, Any] = {
            "request_id": state.request_id,
            "method": method,
            "route": route,
            "status": status,
            "seconds": round(seconds, 4),
        }
        if state.model is not None:
            fields |= {"model": state.model, "texts": len(state.texts)}
            if self._settings.log_texts:
                fields |= {"given": list(state.texts), "labels": list(state.labels)}
        write(logging.INFO if status < 500 else logging.ERROR, "request", **fields)


_READ = (b"authorization", b"content-type", b"content-length", b"inference-header-content-length")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class _Sent:
    """The way back to the client, which adds the request's id and remembers the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._header = (b"x-request-id", request_id.encode())
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), self._header]}
        await self._send(message)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _drain(receive: Receive) -> None:
    """Read on for a while and forget it, so that the client gets to reading the answer."""
    size = 0
    try:
        async with asyncio.timeout(_DRAINED_SECONDS):
            while size < _DRAINED_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
