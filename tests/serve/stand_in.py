"""A small service with the routes that the page needs, over real predictors, with ways to make it slow or fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from emotune.folder.load import load_saved
from emotune.folder.tuned import TunedClassifier
from emotune.inference.predictor import Predictor
from emotune.serve.page import page_router

LONGEST = 20_000


@dataclass(frozen=True, eq=False)
class Model:
    """A served model."""

    name: str
    folder: Path
    predictor: Predictor
    calibrated: Predictor | None
    info: dict[str, Any]

    @classmethod
    def of(cls, name: str, folder: Path, base: str | Path | None = None) -> Model:
        """Load a folder."""
        classifier: TunedClassifier = load_saved(folder, base=base)
        info = {
            "name": name,
            "labels": list(classifier.labels),
            "task": classifier.task.name,
            "base": classifier.name,
            "method": classifier.method.title,
            "max_length": classifier.max_length,
            "pairs": bool(classifier.pairs),
            "calibrated": classifier.temperature is not None,
            "report": (folder / "report.html").is_file(),
        }
        scaled = None if classifier.temperature is None else Predictor(classifier, precision="fp32", calibrated=True)
        return cls(name, folder, Predictor(classifier, precision="fp32"), scaled, info)


@dataclass(eq=False)
class StandIn:
    """A running service.

    Attributes:
        address: Its address, with a slash at the end.
        before: Called with each request to predict; may wait, or return a response to give instead.
        asked: Bodies of the requests to predict.
        paths: Paths of all requests.
        key: The key that routes of models need, if there is one.
    """

    models: dict[str, Model]
    base: str | Path | None = None
    address: str = ""
    before: Callable[[dict[str, Any]], Response | None] = lambda body: None
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    key: str | None = None

    def get(self, name: str) -> Model:
        """Return a model, or raise KeyError."""
        return self.models[name]

    def app(self) -> FastAPI:
        """Return the application."""
        app = FastAPI()

        @app.middleware("http")
        async def keys(request: Request, call: Any) -> Any:
            self.paths.append(request.url.path)
            is_open = request.url.path == "/" or request.url.path.startswith("/static/")
            if self.key and not is_open and request.headers.get("authorization") != f"Bearer {self.key}":
                return refused(401, "no_key", "A key is needed.")
            return await call(request)

        @app.exception_handler(HTTPException)
        async def not_found(request: Request, error: HTTPException) -> Response:
            return refused(error.status_code, "refused", str(error.detail))

        @app.exception_handler(RequestValidationError)
        async def invalid(request: Request, error: RequestValidationError) -> Response:
            return refused(422, "invalid_request", str(error.errors()[0]["msg"]))

        @app.get("/v1/models")
        def models() -> dict[str, Any]:
            return {"models": [model.info for model in self.models.values()]}

        @app.post("/v1/models/{name}/predict")
        def predict(name: str, body: dict[str, Any]) -> Any:
            self.asked.append(body)
            instead = self.before(body)
            if instead is not None:
                return instead
            model = self.models[name]
            for text in body["texts"]:
                if not text.strip() or len(text) > LONGEST:
                    return refused(422, "invalid_text", f"A text is blank, or longer than {LONGEST:,} characters.")
            predictor = model.calibrated if body.get("calibrated") else model.predictor
            if predictor is None:
                return refused(422, "no_temperature", "This model has no temperature.")
            return {
                "model": name,
                "labels": list(predictor.labels),
                "predictions": _predictions(predictor, body["texts"]),
            }

        app.include_router(page_router(self, base=self.base))
        return app

    @contextmanager
    def running(self) -> Iterator[StandIn]:
        """Serve on a free port until the block ends."""
        config = uvicorn.Config(self.app(), host="127.0.0.1", port=0, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        self.address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join(10)


def _predictions(predictor: Predictor, texts: list[str]) -> list[dict[str, Any]]:
    found = []
    for text in texts:
        one = predictor.predict([text])
        probabilities = dict(zip(one.label_names, one.probabilities[0].tolist(), strict=True))
        label = one.labels[0]
        found.append(
            {
                "label": label,
                "probability": probabilities[label],
                "probabilities": probabilities,
                "truncated": one.truncated > 0,
            }
        )
    return found


def refused(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error in the service's form."""
    return JSONResponse({"error": {"type": kind, "message": message}}, status, headers)
