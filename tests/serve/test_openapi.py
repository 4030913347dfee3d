"""Schemathesis: requests made from the OpenAPI description, valid and not, with the same seed each time."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
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

# Not among them: that valid data are taken. Whether a text is blank is not something a JSON schema can say.
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]


@pytest.fixture(scope="module")
def described(models: Models) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", make_app(models, ServeSettings(page=False)))


schema = schemathesis.pytest.from_fixture("described")


@pytest.mark.slow
@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_route_keeps_to_its_description(case: Any) -> None:
    if "name" in case.path_parameters and len(str(case.path_parameters["name"])) % 2:
        case.path_parameters["name"] = "tuned"
    case.call_and_validate(checks=CHECKS)
