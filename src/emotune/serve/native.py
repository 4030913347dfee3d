"""The service's own interface, /v1, with health and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from emotune.serve.answers import Answers
from emotune.serve.errors import RequestError
from emotune.serve.metrics import CONTENT_TYPE
from emotune.serve.models import ModelInfo
from emotune.serve.service import Service, answer, json_router

TwoTexts = Annotated[list[str], Field(min_length=2, max_length=2)]


class PredictRequest(BaseModel):
    """Texts to label."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: list[str | TwoTexts] = Field(
        min_length=1, description="The texts, none of them blank; pairs [first, second] for a model of pairs."
    )
    calibrated: bool = Field(
        default=False, description="Scale probabilities by the temperature fitted on validation; no label changes."
    )
    least_probability: float = Field(
        default=0.0, ge=0, le=1, description="Give no answer to a text whose answer has a lower probability."
    )
    top_k: int | None = Field(
        default=None,
        ge=1,
        description="Return only this many probabilities per text, the highest first; all of them if there are fewer.",
    )


class Prediction(BaseModel):
    """Prediction of one text."""

    label: str | list[str] | None = Field(
        description="The label, or the list of labels of a model with several per text; null below least_probability."
    )
    probability: float = Field(
        description="Probability of the label; of a model with several labels per text, that of exactly these, as if they were independent."
    )
    probabilities: dict[str, float] = Field(description="Probability by label.")
    truncated: bool = Field(description="True if the text was longer than the model's limit and was cut.")


class PredictResponse(BaseModel):
    """Predictions, in the order of the texts."""

    model: str
    labels: list[str]
    predictions: list[Prediction]


class ModelsResponse(BaseModel):
    """The served models, in the order of the folders."""

    models: list[ModelInfo]


class ErrorDetail(BaseModel):
    """What is wrong with a request."""

    type: str = Field(description="The kind of error, for programs.")
    message: str = Field(description="What was seen, what was expected, and what to do.")
    request_id: str = Field(description="The request's id, which is in the log too.")


class ErrorResponse(BaseModel):
    """A refusal."""

    error: ErrorDetail


class Health(BaseModel):
    """State of the service."""

    status: str


REFUSALS = (400, 401, 404, 405, 408, 413, 415, 422, 429)


def refusals(model: type[BaseModel], statuses: Sequence[int] = REFUSALS) -> dict[int | str, dict[str, Any]]:
    """Return the description of an interface's refusals for OpenAPI."""
    return {status: {"model": model} for status in statuses}


def calibrated_probabilities(answers: Answers, *, calibrated: bool) -> NDArray[np.float64]:
    """Return the probabilities of a request's texts, shape (texts, classes).

    Raises:
        RequestError: Calibrated ones were asked for, and the model has no temperature.
    """
    if calibrated and answers.served.temperature is None:
        raise RequestError(
            422,
            "not_calibrated",
            'This model has no temperature to calibrate its probabilities with. Leave "calibrated" out.',
        )
    return answers.served.probabilities(answers.logits, calibrated=True) if calibrated else answers.probabilities


def labels_of(
    answers: Answers, probabilities: NDArray[np.float64], least: float = 0.0
) -> tuple[list[str | None], list[float]]:
    """Return the label of each text, None where its probability is below `least`, and that probability.

    Several labels of a text are joined.
    """
    predictor = answers.served.predictor
    labels, found = predictor.task.answers(probabilities, predictor.labels, least, answers.decisions)
    return labels, found.tolist()


def nested_labels(answers: Answers, probabilities: NDArray[np.float64], least: float) -> list[str | list[str] | None]:
    """Return the same labels for JSON: of a model with several labels per text, a list for each text."""
    predictor = answers.served.predictor
    return predictor.task.nested_answers(probabilities, predictor.labels, least, answers.decisions)


def native_router(service: Service) -> APIRouter:
    """Return the routes of /v1, /health, /ready and /metrics."""
    router = json_router("emotune")

    @router.get("/v1/models", response_model=ModelsResponse, responses=refusals(ErrorResponse, (401, 405)))
    async def list_models() -> Response:
        """Describe the served models."""
        return answer({"models": [served.classifier_info for served in service.models]})

    @router.post("/v1/models/{name}/predict", response_model=PredictResponse, responses=refusals(ErrorResponse))
    async def predict(name: str, body: PredictRequest, request: Request) -> Response:
        """Label texts."""
        served = service.find(name)
        answers = await service.ask(request, served, body.texts)
        probabilities = calibrated_probabilities(answers, calibrated=body.calibrated)
        labels, best = labels_of(answers, probabilities, body.least_probability)
        nested = nested_labels(answers, probabilities, body.least_probability)
        service.tell(request, labels)
        names = served.predictor.labels
        if body.top_k is None:
            shown = [dict(zip(names, row, strict=True)) for row in probabilities.tolist()]
        else:
            shown = [dict(row) for row in served.predictor.task.ranked(probabilities, names, body.top_k)]
        predictions = [
            {"label": label, "probability": value, "probabilities": row, "truncated": cut}
            for label, value, row, cut in zip(nested, best, shown, answers.truncated, strict=True)
        ]
        return answer({"model": served.name, "labels": names, "predictions": predictions})

    @router.get("/health", response_model=Health, responses=refusals(ErrorResponse, (405,)))
    async def health() -> Response:
        """Say that the process answers."""
        return answer({"status": "ok"})

    @router.get(
        "/ready",
        response_model=Health,
        responses={**refusals(ErrorResponse, (405,)), 503: {"model": ErrorResponse}},
    )
    async def ready() -> Response:
        """Say whether the service takes requests: status 503 once it stops."""
        if not service.ready:
            raise RequestError(503, "not_ready", "The service is starting or stopping. Ask again, or ask another one.")
        return answer({"status": "ready"})

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **refusals(ErrorResponse, (401, 405))},
    )
    async def metrics() -> Response:
        """Return metrics for Prometheus."""
        return Response(service.metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    return router
