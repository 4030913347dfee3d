"""Routes of the Open Inference Protocol V2, which KServe and others speak: one input tensor "text" of type BYTES."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from emotune.serve.errors import RequestError
from emotune.serve.native import calibrated_probabilities, labels_of, refusals
from emotune.serve.service import Service, answer, json_router
from emotune.system.version import __version__

_OUTPUTS = ("label", "probability", "probabilities")


class InferParameters(BaseModel):
    """Parameters of a request, as in /v1."""

    model_config = ConfigDict(extra="forbid", strict=True)

    calibrated: bool = False
    least_probability: float = Field(default=0.0, ge=0, le=1)


class TensorParameters(BaseModel):
    """Parameters of a tensor: how clients say that its bytes are text."""

    model_config = ConfigDict(extra="forbid", strict=True)

    content_type: Literal["str"] | None = None


class InputTensor(BaseModel):
    """The tensor of the texts: of shape [texts] or [texts, 1], or [pairs, 2] for a model of pairs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Literal["text"]
    shape: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=2)]
    datatype: Literal["BYTES"]
    parameters: TensorParameters | None = None
    data: list[str] | list[Annotated[list[str], Field(min_length=1, max_length=2)]]


class RequestedOutput(BaseModel):
    """An output that the client wants."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Literal["label", "probability", "probabilities"]
    parameters: TensorParameters | None = None


class InferRequest(BaseModel):
    """A request of the protocol."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str | None = None
    parameters: InferParameters | None = None
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=1)]
    outputs: list[RequestedOutput] | None = None


class OutputTensor(BaseModel):
    """An output: labels (empty below least_probability), their probabilities, or those of all labels."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class InferResponse(BaseModel):
    """An answer of the protocol."""

    model_name: str
    id: str | None = None
    outputs: list[OutputTensor]


class TensorMetadata(BaseModel):
    """Description of a tensor; -1 stands for any number of texts."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """Description of a model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: dict[str, Any]


class ServerMetadata(BaseModel):
    """Description of the service."""

    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    """Whether the process answers."""

    live: bool


class ServerReady(BaseModel):
    """Whether the service takes requests."""

    ready: bool


class ModelReady(BaseModel):
    """Whether a model takes requests."""

    name: str
    ready: bool


class ProtocolError(BaseModel):
    """A refusal in the shape of the protocol."""

    error: str


def open_inference_router(service: Service) -> APIRouter:
    """Return the routes."""
    router = json_router("Open Inference Protocol")
    read = refusals(ProtocolError, (401, 404, 405, 422))

    @router.get("/v2", response_model=ServerMetadata, responses=refusals(ProtocolError, (401, 405)))
    async def server() -> Response:
        """Describe the service."""
        return answer({"name": "emotune", "version": __version__, "extensions": []})

    @router.get("/v2/health/live", response_model=Live, responses=refusals(ProtocolError, (405,)))
    async def live() -> Response:
        """Say that the process answers."""
        return answer({"live": True})

    @router.get(
        "/v2/health/ready",
        response_model=ServerReady,
        responses={**refusals(ProtocolError, (405,)), 503: {"model": ProtocolError}},
    )
    async def ready() -> Response:
        """Say whether the service takes requests."""
        if not service.ready:
            raise RequestError(503, "not_ready", "The service is starting or stopping. Ask again, or ask another one.")
        return answer({"ready": True})

    @router.get("/v2/models/{name}", response_model=ModelMetadata, responses=read)
    async def metadata(name: str) -> Response:
        """Describe a model: its tensors, and the order of the labels in "probabilities"."""
        served = service.find(name)
        labels = served.predictor.labels
        return answer(
            {
                "name": served.name,
                "versions": [],
                "platform": "emotune_pytorch",
                "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1, 2] if served.predictor.pairs else [-1]}],
                "outputs": [
                    {"name": "label", "datatype": "BYTES", "shape": [-1]},
                    {"name": "probability", "datatype": "FP64", "shape": [-1]},
                    {"name": "probabilities", "datatype": "FP64", "shape": [-1, len(labels)]},
                ],
                "parameters": {"labels": labels},
            }
        )

    @router.get("/v2/models/{name}/ready", response_model=ModelReady, responses=read)
    async def model_ready(name: str) -> Response:
        """Say whether a model takes requests."""
        return answer({"name": service.find(name).name, "ready": service.ready})

    @router.post("/v2/models/{name}/infer", response_model=InferResponse, responses=refusals(ProtocolError))
    async def infer(name: str, body: InferRequest, request: Request) -> Response:
        """Label the texts of the input tensor."""
        served = service.find(name)
        texts = _pairs(body.inputs[0]) if served.predictor.pairs else _texts(body.inputs[0])
        parameters = body.parameters or InferParameters()
        answers = await service.ask(request, served, texts)
        probabilities = calibrated_probabilities(answers, calibrated=parameters.calibrated)
        labels, best = labels_of(answers, probabilities, parameters.least_probability)
        service.tell(request, labels)
        found = {
            "label": _tensor("label", "BYTES", [len(texts)], ["" if label is None else label for label in labels]),
            "probability": _tensor("probability", "FP64", [len(texts)], best),
            "probabilities": _tensor(
                "probabilities", "FP64", list(probabilities.shape), probabilities.ravel().tolist()
            ),
        }
        wanted = [output.name for output in body.outputs] if body.outputs else list(_OUTPUTS)
        named = {} if body.id is None else {"id": body.id}
        return answer({"model_name": served.name, **named, "outputs": [found[output] for output in wanted]})

    return router


def _tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def _texts(tensor: InputTensor) -> list[str]:
    """Return the texts of a tensor.

    Raises:
        RequestError: The shape is not that of the data, or says more than one text per row.
    """
    texts = [text for entry in tensor.data for text in ([entry] if isinstance(entry, str) else entry)]
    if math.prod(tensor.shape) != len(texts) or tensor.shape[1:] not in ([], [1]):
        raise RequestError(
            422,
            "invalid_request",
            f"The shape of the tensor is {tensor.shape}, and there are {len(texts)} texts. Send the shape [{len(texts)}] "
            f"or [{len(texts)}, 1].",
        )
    return texts


def _pairs(tensor: InputTensor) -> list[list[str]]:
    """Return the pairs of a tensor.

    Raises:
        RequestError: The shape is not that of the data, or says another number of texts per row than two.
    """
    flat = [text for entry in tensor.data for text in ([entry] if isinstance(entry, str) else entry)]
    pairs = [list(pair) for pair in zip(flat[::2], flat[1::2], strict=False)]
    if tensor.shape != [len(pairs), 2] or len(flat) % 2:
        raise RequestError(
            422,
            "invalid_request",
            f"The shape of the tensor is {tensor.shape}, and there are {len(flat)} texts. This model takes pairs: send the "
            "shape [pairs, 2].",
        )
    return pairs
