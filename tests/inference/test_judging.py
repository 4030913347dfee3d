"""What an audit asks of a model: features of as many layers as it takes, and a way out where the weights are missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from emotune.folder.base import load_base
from emotune.inference import judging
from emotune.inference.features import layer_features
from emotune.system.errors import ModelError

TEXTS = ["badi badi", "fidi", "badi dudi fidi"]


def test_all_layers_stand_side_by_side(tiny_bert: Path) -> None:
    found = judging.features_of(tiny_bert, max_length=16)(TEXTS)
    layers = layer_features(load_base(tiny_bert, labels=("a", "b"), max_length=16), TEXTS)
    assert found.model == "tiny-bert"
    assert found.values == pytest.approx(np.concatenate(list(layers), axis=1), abs=1e-5)


@pytest.mark.parametrize(("most", "layers"), [(64, (0, 2)), (32, (2,)), (1, (2,)), (1000, (0, 1, 2))])
def test_of_a_wide_model_some_layers_are_taken_the_last_among_them(
    tiny_bert: Path, monkeypatch: pytest.MonkeyPatch, most: int, layers: tuple[int, ...]
) -> None:
    monkeypatch.setattr(judging, "MOST_FEATURES", most)
    found = judging.features_of(tiny_bert, max_length=16)(TEXTS)
    every = layer_features(load_base(tiny_bert, labels=("a", "b"), max_length=16), TEXTS)
    assert found.values == pytest.approx(np.concatenate([every[i] for i in layers], axis=1), abs=1e-5)


def test_without_weights_the_way_out_is_named(tiny_bert: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bert, tmp_path / "bare")
    (tmp_path / "bare" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="add --no-label-errors"):
        judging.features_of(tmp_path / "bare", max_length=16)(TEXTS)
