"""The route of the Hugging Face inference API for text classification, where a list of inputs is a batch."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from emotune.serve.errors import RequestError
from emotune.serve.models import Served
from emotune.serve.native import refusals
from emotune.serve.service import Service, answer, json_router
from emotune.system.wording import quoted

_RAW = "none"


class Parameters(BaseModel):
    """Parameters of a request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    top_k: int | None = Field(default=None, ge=1, description="Labels per text; all if not given.")
    function_to_apply: str | None = Field(default=None, description="The model's own function, or none for logits.")


class Options(BaseModel):
    """Options of the hosted service, which change nothing here: models are always loaded, and nothing is cached."""

    model_config = ConfigDict(extra="forbid", strict=True)

    use_cache: bool | None = None
    wait_for_model: bool | None = None


class Pair(BaseModel):
    """A pair of texts, as the pipeline of transformers takes it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str
    text_pair: str


class HuggingFaceRequest(BaseModel):
    """Texts to label, as the Hugging Face inference API takes them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: str | Pair | Annotated[list[str | Pair], Field(min_length=1)]
    parameters: Parameters | None = None
    options: Options | None = None


class Score(BaseModel):
    """Score of one label."""

    label: str
    score: float


class HuggingFaceError(BaseModel):
    """A refusal in the shape of the Hugging Face inference API."""

    error: str


def hugging_face_router(service: Service) -> APIRouter:
    """Return the route."""
    router = json_router("Hugging Face inference API")

    @router.post("/models/{name}", response_model=list[list[Score]], responses=refusals(HuggingFaceError))
    async def classify(name: str, body: HuggingFaceRequest, request: Request) -> Response:
        """Label a text or a list of texts: one list of labels with scores per text, the highest first."""
        served = service.find(name)
        parameters = body.parameters or Parameters()
        raw = _is_raw(served, parameters.function_to_apply)
        inputs = body.inputs if isinstance(body.inputs, list) else [body.inputs]
        texts = [given if isinstance(given, str) else (given.text, given.text_pair) for given in inputs]
        answers = await service.ask(request, served, texts)
        rows = answers.logits if raw else answers.probabilities
        names = served.predictor.labels
        scores = [
            [{"label": label, "score": score} for label, score in row]
            for row in served.predictor.task.ranked(rows, names, parameters.top_k or len(names))
        ]
        service.tell(request, answers.labels)
        return answer(scores)

    return router


def _is_raw(served: Served, function: str | None) -> bool:
    """Return whether logits are asked for.

    Raises:
        RequestError: The function is not the task's.
    """
    own = served.predictor.task.function
    if function not in (None, _RAW, own):
        raise RequestError(
            422,
            "not_supported",
            f"function_to_apply is {quoted(function)}; this model takes '{own}', or '{_RAW}' for logits. Leave it out, or "
            "send one of them.",
        )
    return function == _RAW
