"""`make_app`: the service as a FastAPI application."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError

from emotune.serve.errors import ClientGone, RequestError, of_validation, render
from emotune.serve.gate import GONE, Gate
from emotune.serve.hugging_face import hugging_face_router
from emotune.serve.models import Models
from emotune.serve.native import native_router
from emotune.serve.open_inference import open_inference_router
from emotune.serve.service import Service
from emotune.serve.settings import ServeSettings
from emotune.serve.tei import tei_router
from emotune.system.version import __version__

_PAGE = "emotune.serve.page"
_DESCRIPTION = "Text classifiers that emotune has fine-tuned."


def make_app(models: Models, settings: ServeSettings, routers: Sequence[APIRouter] = ()) -> FastAPI:
    """Return the application. Its `state.service` is the `Service`.

    Args:
        models: What is served.
        settings: Limits, keys and choices; host and port are not used.
        routers: Further routes.

    Raises:
        ConfigError: The default model is not among the served ones.
    """
    service = Service(models, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    # The interactive pages of FastAPI load scripts from another host.
    app = FastAPI(
        title="emotune", version=__version__, description=_DESCRIPTION, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.state.service = service
    open_paths: list[str] = []
    for router in (
        native_router(service),
        tei_router(service),
        hugging_face_router(service),
        open_inference_router(service),
    ):
        app.include_router(router)
    # The page is a module of its own, and the service works without it.
    if settings.page and find_spec(_PAGE) is not None:
        page: Any = importlib.import_module(_PAGE)
        app.include_router(page.page_router(models, base=models.base))
        open_paths += getattr(page, "OPEN_PATHS", ())
    for router in routers:
        app.include_router(router)
    app.add_middleware(Gate, settings=settings, metrics=service.metrics, open_paths=open_paths)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_refused)
    for status in (404, 405):
        app.add_exception_handler(status, _on_unknown)
    app.add_exception_handler(ClientGone, _on_gone)
    app.add_exception_handler(Exception, _on_bug)
    if settings.keys:
        _describe_keys(app)
    return app


def _respond(request: Request, error: RequestError) -> Response:
    request_id = request.scope["state"]["emotune"].request_id
    body = render(error, request.url.path, request_id)
    return Response(body, error.status_code, dict(error.headers or {}), media_type="application/json")


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _respond(request, of_validation(error))


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = error if isinstance(error, RequestError) else None
    return _respond(request, known or RequestError(error.status_code, "invalid_request", str(error.detail)))


async def _on_unknown(request: Request, error: Exception) -> Response:
    """Answer a model that is not served, or what the framework says to unknown paths and methods."""
    if isinstance(error, RequestError):
        return _respond(request, error)
    if getattr(error, "status_code", None) == 404:
        known = RequestError(404, "not_found", "There is nothing at this path. /openapi.json lists what there is.")
    else:
        known = RequestError(
            405,
            "method_not_allowed",
            f"This path does not take {request.method}. Send one of the methods in the header Allow.",
            getattr(error, "headers", None),
        )
    return _respond(request, known)


async def _on_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=GONE)  # nobody receives it; the log has its status


async def _on_bug(request: Request, error: Exception) -> Response:
    """Answer a bug of ours; its traceback goes into the log."""
    return _respond(
        request,
        RequestError(500, "internal", "The service has failed; its log has the traceback under this request's id."),
    )


def _describe_keys(app: FastAPI) -> None:
    """Say in the OpenAPI description that a key is needed."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        schema = plain()
        schema.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"key": []}]
        return schema

    app.openapi = described  # type: ignore[method-assign]
