"""The lowest version of everything that pyproject.toml declares, as pip wants it: what `make test-lowest` installs.

    python tests/lowest.py pyproject.toml [name==version ...]

A requirement behind the file takes the place of the declared one of that name.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def declared(pyproject: Path) -> list[Requirement]:
    """Every requirement: the package's own, those of all extras, and those to build it."""
    document = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    project = document["project"]
    groups = [document["build-system"]["requires"], project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(text) for group in groups for text in group]


def lowest(requirement: Requirement) -> str:
    """The lowest version that a requirement allows.

    Raises:
        ValueError: It has no lower bound, or more than one.
    """
    versions = [specifier.version for specifier in requirement.specifier if specifier.operator in (">=", "==", "~=")]
    if len(versions) != 1:
        raise ValueError(
            f"'{requirement}' has {len(versions)} lower bounds; expected one, such as '{requirement.name}>=1.2'."
        )
    return versions[0]


def pinned(requirements: Iterable[Requirement], instead: Sequence[str] = ()) -> Iterator[str]:
    """Requirements of the lowest versions alone, each name once."""
    versions: dict[str, str] = {}
    for requirement in requirements:
        name, version = canonicalize_name(requirement.name), lowest(requirement)
        if versions.setdefault(name, version) != version:
            raise ValueError(f"{name} is declared with two lower bounds, {versions[name]} and {version}. Give it one.")
    for requirement in map(Requirement, instead):
        versions[canonicalize_name(requirement.name)] = lowest(requirement)
    return (f"{name}=={version}" for name, version in sorted(versions.items()))


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in pinned(declared(Path(sys.argv[1])), sys.argv[2:]))
