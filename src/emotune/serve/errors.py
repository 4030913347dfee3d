"""Errors of requests: one class with a type, a status and a message, in the shape that each interface's clients read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter

from emotune.system.text import printable

# Reads and writes JSON several times as fast as the standard library.
ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)
_LONGEST_SHOWN = 120
_MOST_MISTAKES = 5


class RequestError(HTTPException):
    """A request that is refused, with what the client can do about it.

    Attributes:
        kind: The error's type, for programs: "text_too_long".
        message: What was seen, what was expected and what to do.
    """

    def __init__(self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.kind = kind
        self.message = message


class ClientGone(Exception):
    """The client has closed its connection, so nobody waits for the answer."""


def render(error: RequestError, path: str, request_id: str) -> bytes:
    """Return the body of a refusal.

    Args:
        error: The error.
        path: The path of the request, which tells the interface.
        request_id: The request's id.
    """
    if path == "/predict":  # Text Embeddings Inference
        return ANYTHING.dump_json({"error": error.message, "error_type": _TEI_TYPES.get(error.kind, "Validation")})
    if path.startswith(("/models/", "/v2")):  # the Hugging Face inference API; the Open Inference Protocol
        return ANYTHING.dump_json({"error": error.message})
    return ANYTHING.dump_json({"error": {"type": error.kind, "message": error.message, "request_id": request_id}})


_TEI_TYPES = {"overloaded": "Overloaded", "internal": "Backend", "not_supported": "Backend", "not_ready": "Unhealthy"}


def of_validation(error: RequestValidationError) -> RequestError:
    """Convert what FastAPI found in a request: broken JSON, or values that do not fit."""
    found = error.errors()
    for detail in found:
        if detail["type"] == "json_invalid":
            reason = detail.get("ctx", {}).get("error", "")
            return RequestError(
                400, "invalid_json", f"The body is not valid JSON in UTF-8: {printable(str(reason), _LONGEST_SHOWN)}."
            )
    lines = [_mistake(detail) for detail in found]
    # A union reports every alternative.
    lines = list(dict.fromkeys(lines))
    more = f"; and {len(lines) - _MOST_MISTAKES} more" if len(lines) > _MOST_MISTAKES else ""
    return RequestError(
        422,
        "invalid_request",
        f"The request does not fit: {'; '.join(lines[:_MOST_MISTAKES])}{more}. /openapi.json describes what is accepted.",
    )


# What was expected, by pydantic's type of mistake, with its context in braces.
_EXPECTED = {
    "string_type": "a text",
    "list_type": "a list",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "literal_error": "{expected}",
}


def _mistake(detail: Mapping[str, Any]) -> str:
    place = ".".join(printable(str(step), 40) for step in detail["loc"][1:]) or "the body"
    if detail["type"] == "missing":
        return f"{place} is missing"
    if detail["type"] == "extra_forbidden":
        return f"{place} is not known"
    wanted = _EXPECTED.get(detail["type"])
    if wanted is not None:
        return f"{place}: expected {wanted.format_map(detail.get('ctx', {}))}"
    message = str(detail["msg"])
    message = message[0].lower() + message[1:] if message else "is not valid"
    return f"{place}: {printable(message.removeprefix('value error, '), _LONGEST_SHOWN)}"
