"""What pyproject.toml declares: a lowest version of each, what the lock holds, and all that the package imports."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .lowest import declared, lowest, pinned

ROOT = Path(__file__).parent.parent
REQUIREMENTS = declared(ROOT / "pyproject.toml")
# Packages whose modules are called otherwise.
MODULES = {"pillow": "PIL", "protobuf": "google", "scikit-learn": "sklearn"}
# What is not an interface is relied on there, so that another major version needs another look.
BOUNDED = ("huggingface-hub", "peft", "torch", "transformers")


def test_the_lowest_versions_are_those_of_the_bounds() -> None:
    some = [Requirement(text) for text in ("one>=1.2", "two==3", "Three_Four>=5,<6", "one>=1.2")]
    assert list(pinned(some)) == ["one==1.2", "three-four==5", "two==3"]
    assert list(pinned(some, ["two==4"])) == ["one==1.2", "three-four==5", "two==4"]


@pytest.mark.parametrize("texts", [["one"], ["one<3"], ["one>=1", "one>=2"]])
def test_each_needs_one_lower_bound(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="lower bounds"):
        list(pinned(map(Requirement, texts)))


def test_every_requirement_has_a_lowest_version() -> None:
    assert {requirement.name: lowest(requirement) for requirement in REQUIREMENTS}


@pytest.mark.parametrize("name", BOUNDED)
def test_what_private_interfaces_are_relied_on_has_an_upper_bound(name: str) -> None:
    (requirement,) = (one for one in REQUIREMENTS if canonicalize_name(one.name) == name)
    assert any(specifier.operator == "<" for specifier in requirement.specifier)


def test_the_lock_holds_what_is_declared() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    locked = dict(line.split("==") for line in lines if not line.startswith("#"))
    versions = {canonicalize_name(name): version for name, version in locked.items()}
    assert [
        str(requirement)
        for requirement in REQUIREMENTS
        if not requirement.specifier.contains(versions.get(canonicalize_name(requirement.name), "0"))
    ] == []


def test_what_is_imported_is_declared() -> None:
    imported = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    names = {MODULES.get(canonicalize_name(one.name), one.name.replace("-", "_")) for one in REQUIREMENTS}
    assert imported - names - set(sys.stdlib_module_names) == {"emotune"}
