"""Device and precision: what the hardware can do decides, and what it cannot do is refused."""

from __future__ import annotations

import pytest
import torch

from emotune.system import precision
from emotune.system.errors import ConfigError
from emotune.system.precision import choose_device, choose_precision


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """A machine whose hardware the test chooses."""
    has = {"cuda": False, "mps": False, "bf16": False}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has["cuda"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has["mps"])
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: has["bf16"])
    monkeypatch.setattr(precision, "cpu_multiplies_bf16", lambda: has["bf16"])
    return has


@pytest.mark.parametrize(
    ("there", "chosen"), [((), "cpu"), (("mps",), "mps"), (("cuda",), "cuda"), (("cuda", "mps"), "cuda")]
)
def test_auto_takes_the_first_device_that_is_there(
    machine: dict[str, bool], there: tuple[str, ...], chosen: str
) -> None:
    machine.update(dict.fromkeys(there, True))
    assert choose_device() == choose_device("auto") == chosen
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize("asked", ["cuda", "mps", "tpu", "CPU", ""])
def test_a_device_that_is_not_there_is_refused(machine: dict[str, bool], asked: str) -> None:
    with pytest.raises(ConfigError, match=f"'{asked}' is not available. This machine has: cpu"):
        choose_device(asked)


@pytest.mark.parametrize(
    ("device", "multiplies", "chosen"),
    [
        ("cpu", True, "bf16"),
        ("cpu", False, "fp32"),
        ("cuda", True, "bf16"),
        ("cuda", False, "fp32"),
        ("mps", True, "fp32"),
    ],
)
def test_auto_takes_bf16_only_where_the_hardware_multiplies_it(
    machine: dict[str, bool], device: str, multiplies: bool, chosen: str
) -> None:
    machine["bf16"] = multiplies
    found = choose_precision("auto", device)
    assert found.name == chosen
    assert "bfloat16" in found.reason
    assert found.products is (torch.bfloat16 if chosen == "bf16" else None)


@pytest.mark.parametrize("asked", ["bf16", "fp32"])
def test_what_was_asked_for_is_taken(machine: dict[str, bool], asked: str) -> None:
    found = choose_precision(asked, "cpu")
    assert (found.name, found.reason) == (asked, "as asked")


@pytest.mark.parametrize("asked", ["fp16", "bfloat16", "FP32", ""])
def test_an_unknown_precision_is_refused(asked: str) -> None:
    with pytest.raises(ConfigError, match=r"is unknown\. Choose 'auto', 'bf16' or 'fp32'"):
        choose_precision(asked, "cpu")


def test_this_machine_answers() -> None:
    assert choose_device("auto") in {"cpu", "cuda", "mps"}
    assert choose_precision("auto", "cpu").name in {"bf16", "fp32"}


def test_int8_is_for_prediction_on_a_processor() -> None:
    assert choose_precision("int8", "cpu", prediction=True).name == "int8"
    with pytest.raises(ConfigError, match=r"is unknown\. Choose 'auto', 'bf16' or 'fp32'"):
        choose_precision("int8", "cpu")
    with pytest.raises(ConfigError, match="int8 is computed on the processor, and the device is 'cuda'"):
        choose_precision("int8", "cuda", prediction=True)
