"""Private interfaces of huggingface_hub and datasets: the switch of offline mode, and the base of network errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

CHECKED = "huggingface_hub>=1.5,<3"


def transport_error() -> type[Exception]:
    """Return the base error of the Hub library's HTTP client, for which the library has no public name."""
    from huggingface_hub.errors import HfHubHTTPError

    base: type[Exception] = HfHubHTTPError.__bases__[0]
    return base


@contextmanager
def offline_mode(*, datasets: bool) -> Iterator[None]:
    """Put the Hub libraries into offline mode inside the block; they read the setting at each call.

    The public switch, an environment variable, is read only once, when the library is imported.

    Args:
        datasets: True to switch the datasets library as well, which has its own setting.
    """
    from huggingface_hub import constants

    modules = [constants]
    if datasets:
        from datasets import config

        modules.append(config)
    before = [module.HF_HUB_OFFLINE for module in modules]
    for module in modules:
        module.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for module, value in zip(modules, before, strict=True):
            module.HF_HUB_OFFLINE = value
