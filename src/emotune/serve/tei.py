"""Routes of Text Embeddings Inference for classifiers: /predict and /info.

There, ["a", "b"] is one pair of texts, [["a"], ["b"]] a batch of two texts, and [["a", "b"], ["c", "d"]] one of two pairs.
A model of single texts refuses pairs, and one of pairs refuses single texts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from emotune.inference.forward import MAX_TOKENS
from emotune.serve.batching import TURN
from emotune.serve.errors import RequestError
from emotune.serve.native import refusals
from emotune.serve.service import Service, answer, json_router
from emotune.system.version import __version__
from emotune.system.wording import counted

Sequence = Annotated[list[str], Field(min_length=1, max_length=2)]


class TeiRequest(BaseModel):
    """Texts to label, as Text Embeddings Inference takes them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: str | Sequence | Annotated[list[Sequence], Field(min_length=1)] = Field(
        description="A text, or a batch [[text], [text], ...]; for a model of pairs, a pair [text, text], or a batch of pairs."
    )
    raw_scores: bool = Field(default=False, description="Return logits in place of probabilities.")
    truncate: bool | None = Field(
        default=None, description="False to refuse a text that is longer than the model's limit; else it is cut."
    )
    truncation_direction: Literal["right", "Right"] | None = Field(
        default=None, description="The end from which a long text is cut."
    )


class TeiScore(BaseModel):
    """Score of one label."""

    score: float
    label: str


class TeiError(BaseModel):
    """A refusal in the shape of Text Embeddings Inference."""

    error: str
    error_type: Literal["Unhealthy", "Backend", "Overloaded", "Validation", "Tokenizer"]


class TeiInfo(BaseModel):
    """Description of the model in the shape of Text Embeddings Inference."""

    model_id: str
    model_sha: str | None
    model_dtype: str
    model_type: dict[str, Any]
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_batch_requests: int | None
    max_client_batch_size: int
    auto_truncate: bool
    tokenization_workers: int
    version: str


_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8"}


def tei_router(service: Service) -> APIRouter:
    """Return the routes, which use the default model."""
    router = json_router("Text Embeddings Inference")

    @router.post("/predict", response_model=list[TeiScore] | list[list[TeiScore]], responses=refusals(TeiError))
    async def predict(body: TeiRequest, request: Request) -> Response:
        """Label a text or a batch: every label with its score, the highest first."""
        served = service.find(None)
        texts, is_batch = _texts(body.inputs, pairs=bool(served.predictor.pairs))
        answers = await service.ask(request, served, texts)
        if body.truncate is False and any(answers.truncated):
            number = answers.truncated.index(True) + 1
            raise RequestError(
                413,
                "text_too_long",
                f"Text {number} has more than {served.predictor.max_length} tokens. Shorten it, or set truncate to true.",
            )
        rows = answers.logits if body.raw_scores else answers.probabilities
        names = served.predictor.labels
        ranked = served.predictor.task.ranked(rows, names, len(names))
        scores = [[{"score": score, "label": label} for label, score in row] for row in ranked]
        service.tell(request, answers.labels)
        return answer(scores if is_batch else scores[0])

    @router.get("/info", response_model=TeiInfo, responses=refusals(TeiError, (401, 405)))
    async def info() -> Response:
        """Describe the default model."""
        served = service.find(None)
        names = dict(enumerate(served.predictor.labels))
        classifier = {"id2label": names, "label2id": {label: number for number, label in names.items()}}
        settings = service.settings
        return answer(
            TeiInfo(
                model_id=served.name,
                model_sha=None,
                model_dtype=_DTYPES[served.predictor.precision],
                model_type={"classifier": classifier},
                max_concurrent_requests=settings.max_queued_texts,
                max_input_length=served.predictor.max_length,
                max_batch_tokens=MAX_TOKENS,
                max_batch_requests=TURN,
                max_client_batch_size=settings.max_texts,
                auto_truncate=True,
                tokenization_workers=1,
                version=__version__,
            )
        )

    return router


def _texts(
    inputs: str | list[str] | list[list[str]], *, pairs: bool
) -> tuple[list[str] | list[list[str]] | list[str | list[str]], bool]:
    """Return the texts or pairs, and True for a batch.

    Raises:
        RequestError: There is a pair, and the model takes single texts.
    """
    if pairs:  # what is no pair is refused with the reason by the service
        if isinstance(inputs, str):
            return [inputs], False
        if all(isinstance(entry, str) for entry in inputs):
            return [[str(entry) for entry in inputs]] if len(inputs) > 1 else [str(inputs[0])], False
        return [entry[0] if len(entry) == 1 else entry for entry in inputs], True
    if isinstance(inputs, str):
        return [inputs], False
    batch = [entry for entry in inputs if isinstance(entry, list)]
    pair = (
        "In this interface, [text, text] is one pair, which these models do not read. Send a batch as [[text], [text]]"
    )
    if not batch:
        flat = [entry for entry in inputs if isinstance(entry, str)]
        if len(flat) > 1:
            raise RequestError(422, "not_supported", f"{pair}.")
        return flat, False
    for number, entry in enumerate(batch, start=1):
        if len(entry) > 1:
            raise RequestError(422, "not_supported", f"Entry {number} has {counted(len(entry), 'text')}. {pair}.")
    return [entry[0] for entry in batch], True
