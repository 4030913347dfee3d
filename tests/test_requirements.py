"""What pyproject.toml declares: a lowest version of each, what the lock holds, and all that the package imports."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .lowest import declared, lowest, pinned

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "emotune"
REQUIREMENTS = declared(ROOT / "pyproject.toml")
# Packages whose modules are called otherwise.
MODULES = {"pillow": "PIL", "protobuf": "google", "scikit-learn": "sklearn"}
# Where the package relies on what a library does not promise. Another major version needs another look.
INTERNALS = (
    "system/internals/hub.py",
    "methods/tuners/wrapping.py",
    "system/internals/torch.py",
    "system/internals/transformers.py",
)
# pydantic's metaclass has no public name; at run time it is `type(BaseModel)`, and the import serves type checkers alone.
# The standard library documents os._exit.
EXCEPT = {("system/options.py", "pydantic._internal._model_construction"), ("system/processes.py", "os._exit")}


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


@pytest.mark.parametrize("module", INTERNALS)
def test_the_bounds_are_those_that_internals_were_checked_with(module: str) -> None:
    (checked,) = re.findall(r'^CHECKED = "(.*)"$', (PACKAGE / module).read_text(encoding="utf-8"), flags=re.MULTILINE)
    wanted = Requirement(checked)
    (declared_,) = (one for one in REQUIREMENTS if canonicalize_name(one.name) == canonicalize_name(wanted.name))
    assert declared_.specifier == wanted.specifier
    assert {specifier.operator for specifier in wanted.specifier} == {">=", "<"}


def _private_names(path: Path) -> Iterator[str]:
    """Names of other libraries that begin with one underscore, as far as syntax shows them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    own |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and ast.unparse(node.value) in ("self", "twin")
    }
    own |= {
        node.target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr) and node.attr not in own:
            yield ast.unparse(node)
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
            yield from (name for name in names[:1] if "._" in name)
            yield from (name for name in names[1:] if re.search(r"\._[^_.]+$", name))


@pytest.mark.slow
def test_private_names_of_libraries_stand_in_one_module_each() -> None:
    elsewhere = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).as_posix() not in INTERNALS
        for name in _private_names(path)
    }
    assert elsewhere - EXCEPT == set()
    assert all(
        list(_private_names(PACKAGE / module)) for module in INTERNALS[1:]
    )  # so that the search finds what there is


def test_the_lock_holds_what_is_declared() -> None:
    locks = ("requirements.lock", "requirements-test.lock")
    lines = [line for lock in locks for line in (ROOT / lock).read_text(encoding="utf-8").splitlines()]
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
    # pydantic requires one version of its core.
    assert imported - names - set(sys.stdlib_module_names) - {"pydantic_core"} == {"emotune"}
