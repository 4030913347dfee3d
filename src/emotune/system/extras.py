"""Optional dependencies: each is checked before it is used, and a missing one is refused with the line that installs it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from emotune.system.errors import ConfigError


def require(extra: str, modules: Sequence[str], purpose: str) -> None:
    """Refuse a purpose whose optional dependencies are not installed.

    Args:
        extra: The extra of emotune that installs them.
        modules: Their top-level modules.
        purpose: Beginning of the message: "emotune serve".

    Raises:
        ConfigError: One of them is missing; the message has the line that installs it.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        names = " and ".join(missing)
        raise ConfigError(
            f"{purpose} needs {names}, which {'is' if len(missing) == 1 else 'are'} not installed. "
            f"Install {'it' if len(missing) == 1 else 'them'}: pip install 'emotune[{extra}]'"
        )


def require_package(package: str, purpose: str) -> None:
    """Refuse a purpose whose package, which no extra installs, is missing.

    Args:
        package: Name of the package and of its top-level module.
        purpose: Beginning of the message: "--track wandb".

    Raises:
        ConfigError: It is missing; the message has the line that installs it.
    """
    found = find_spec(package)
    # A folder of that name, such as the one that wandb writes, looks like a package without a file.
    if found is None or found.origin is None:
        raise ConfigError(f"{purpose} needs {package}, which is not installed. Install it: pip install {package}")
