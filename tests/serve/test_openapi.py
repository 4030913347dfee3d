"""Schemathesis: requests made from the OpenAPI description, valid and not, the same ones each time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from emotune.serve.app import make_app
from emotune.serve.models import Models
from emotune.serve.settings import ServeSettings
from tests.serve.conftest import listening

# Not among them: that valid data are taken. Whether a text is blank is not something that a JSON schema can say.
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
EXAMPLES = 25


@pytest.fixture(scope="module")
def operations(models: Models) -> Iterator[list[Any]]:
    with listening(make_app(models, ServeSettings(page=False))) as address:
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        yield [found.ok() for found in schema.get_all_operations()]


def test_every_route_is_described(operations: list[Any]) -> None:
    assert len(operations) == 14


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
def test_every_route_keeps_to_its_description(operations: list[Any], mode: Any) -> None:
    # Nothing about a GET can be invalid.
    chosen = [found for found in operations if mode is GenerationMode.POSITIVE or found.method == "post"]
    answered = {status for operation in chosen for status in statuses(operation, mode)}
    assert answered & ({200, 422} if mode is GenerationMode.POSITIVE else {400, 422})


def statuses(operation: Any, mode: Any) -> set[int]:
    """Send generated requests to a route, check the answers, and return their statuses."""
    answered: set[int] = set()
    is_post = operation.method == "post"

    @settings(
        max_examples=EXAMPLES if is_post else 3,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def keeps(case: Any) -> None:
        # Nearly no generated name is that of a model.
        if is_post and "name" in case.path_parameters:
            case.path_parameters["name"] = "tuned"
        answered.add(case.call_and_validate(checks=CHECKS).status_code)

    keeps()
    return answered
