"""Folds: every row is scored once per repeat, classes and groups hold, and what cannot be folded is refused."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotune.data.dataset import TextDataset
from emotune.data.duplicates import find_duplicates
from emotune.data.load import load_data
from emotune.data.splits.folding import fewest_groups
from emotune.system.errors import ConfigError, DataError

from ..facts import facts, one_states, states

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def rows_of(count: int, authors: int = 1000, seed: int = 0) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {
            "text": f"{' '.join(rng.choices(WORDS, k=9))} {i} {i * i}",
            "label": "abc"[min(2, i % 4)],
            "author": f"author {rng.randrange(authors)}",
        }
        for i in range(count)
    ]


def of_equal_groups(groups: int, each: int = 30) -> list[dict[str, Any]]:
    """Rows of groups that all have equally many of each class."""
    rows = rows_of(groups * each)
    return [{**row, "label": "abc"[i % 3], "author": f"author {i // 3 % groups}"} for i, row in enumerate(rows)]


def check_parts(data: TextDataset, rows: int, folds: int, repeats: int) -> None:
    assert len(data.folds) == repeats
    for repeat in data.folds:
        assert len(repeat) == folds
        scored = np.concatenate([fold.scored for fold in repeat])
        assert sorted(scored.tolist()) == list(range(rows))
        for fold in repeat:
            parts = np.concatenate([fold.train, fold.validation, fold.scored])
            assert sorted(parts.tolist()) == list(range(rows))
            assert len(fold.validation) == pytest.approx(0.15 * (rows - len(fold.scored)), rel=0.3)


@pytest.mark.parametrize(("folds", "repeats"), [(2, 1), (5, 3), (10, 2)])
def test_every_row_is_scored_once_per_repeat_by_a_model_that_has_not_seen_it(folds: int, repeats: int) -> None:
    data = load_data(rows_of(200), folds=folds, fold_repeats=repeats)
    check_parts(data, 200, folds, repeats)
    assert (len(data.train), len(data.validation), len(data.test)) == (200, 0, 0)
    counts = np.array(
        [list(data.of_fold(fold).test.counts.values()) for repeat in data.folds for fold in repeat], dtype=float
    )
    assert np.ptp(counts, axis=0).max() <= 1  # stratified as evenly as whole rows allow
    assert one_states(data.notes, f"once in {folds} folds", "validation")
    if repeats > 1:
        assert any(data.folds[0][0].scored.tolist() != fold.scored.tolist() for fold in data.folds[1]), (
            "every repeat has other folds"
        )


def test_a_seed_gives_its_folds() -> None:
    one, same, other = (load_data(rows_of(100), folds=4, seed=seed) for seed in (1, 1, 2))
    assert all(
        np.array_equal(a.scored, b.scored) and np.array_equal(a.validation, b.validation)
        for a, b in zip(one.folds[0], same.folds[0], strict=True)
    )
    assert any(not np.array_equal(a.scored, b.scored) for a, b in zip(one.folds[0], other.folds[0], strict=True))
    assert one.fingerprint == other.fingerprint == load_data(rows_of(100), folds=5).fingerprint


def test_groups_and_copies_are_in_one_part_of_every_fold() -> None:
    rows = rows_of(300, authors=40)
    for row in range(0, 60, 2):
        rows[row + 1]["text"] = rows[row]["text"].upper()
    data = load_data(rows, folds=5, fold_repeats=2, group_column="author")
    check_parts(data, 300, 5, 2)
    near = find_duplicates(data.train.texts).near
    names = np.array(data.train.groups)
    for repeat in data.folds:
        for fold in repeat:
            for one, other in (
                (fold.train, fold.validation),
                (fold.train, fold.scored),
                (fold.validation, fold.scored),
            ):
                assert not set(names[one]) & set(names[other])
                assert not set(near[one].tolist()) & set(near[other].tolist())
            assert min(data.of_fold(fold).test.counts.values()) >= 1
    assert one_states(data.notes, "kept together", "'author'")
    assert one_states(data.notes, "Shares of the classes in the folds", "'a'")


def test_of_fold_gives_the_rows(tmp_path: Path) -> None:
    data = load_data(rows_of(80), folds=4)
    fold = data.folds[0][2]
    part = data.of_fold(fold)
    assert part.test.texts == tuple(data.train.texts[row] for row in fold.scored)
    assert part.test.label_ids.tolist() == data.train.label_ids[fold.scored].tolist()
    assert [split.name for split in part.splits] == ["train", "validation", "test"]
    assert part.folds == ()


class TestRefusals:
    @pytest.mark.parametrize(("groups", "folds"), [(3, 5), (2, 3), (2, 2), (3, 2)])
    def test_too_few_groups_for_any_folds(self, groups: int, folds: int) -> None:
        with pytest.raises(DataError) as refused:
            load_data(of_equal_groups(groups), folds=folds, group_column="author")
        said = str(refused.value)
        assert states(said, f"{groups} groups by 'author'", f"{folds} folds", "at least 5 (--folds 5)", "more groups")
        assert not any(words in said for words in ("more rows", "files", "or fold", "one split", "use --folds"))
        assert len(load_data(of_equal_groups(5), folds=5, group_column="author").folds[0]) == 5

    def test_fewer_groups_than_folds_but_enough(self) -> None:
        with pytest.raises(DataError, match="Use --folds 6, bring rows of more groups, or name another column"):
            load_data(of_equal_groups(6), folds=9, group_column="author")
        assert len(load_data(of_equal_groups(6), folds=6, group_column="author").folds[0]) == 6

    @pytest.mark.parametrize("share", [0.1, 0.15, 0.2, 0.3, 0.5])
    def test_the_fewest_equal_groups_are_the_fewest(self, share: float) -> None:
        fewest = fewest_groups(share)
        load_data(of_equal_groups(fewest), folds=fewest, group_column="author", validation_size=share)
        for folds in range(2, fewest):
            with pytest.raises(DataError, match="groups"):
                load_data(of_equal_groups(fewest - 1), folds=folds, group_column="author", validation_size=share)

    def test_what_cannot_be_cut_in_a_fold_is_not_to_be_given_as_files(self) -> None:
        with pytest.raises(DataError) as refused:
            load_data(of_equal_groups(4), folds=4, group_column="author")
        assert str(refused.value).endswith("Bring rows of more groups, or change validation_size.")

    def test_a_class_of_fewer_rows_than_folds(self) -> None:
        rows = [*rows_of(100), *({"text": f"rare {i}", "label": "rare", "author": "x"} for i in range(4))]
        with pytest.raises(DataError, match=facts("'rare'", "4 rows", "5 folds", "--folds 4")):
            load_data(rows, folds=5)

    def test_a_class_of_fewer_groups_than_folds(self) -> None:
        rows = rows_of(100, authors=30)
        rows += [{"text": f"rare text {i} {i * i}", "label": "rare", "author": f"r{i % 3}"} for i in range(9)]
        with pytest.raises(DataError, match=facts("'rare'", "9 rows in 3 groups by 'author'", "5 folds")):
            load_data(rows, folds=5, group_column="author")

    def test_too_few_rows_for_validation(self) -> None:
        rows = [*rows_of(40), *({"text": f"rare {i}", "label": "rare", "author": "x"} for i in range(2))]
        with pytest.raises(DataError, match=facts("Fold 1 of 2", "'rare'", "validation")):
            load_data(rows, folds=2)

    @pytest.mark.parametrize("split", ["validation", "test"])
    def test_splits_of_the_data(self, split: str) -> None:
        with pytest.raises(DataError, match=facts("splits of its own", f"'{split}'", "leave folds out")):
            load_data({"train": rows_of(50), split: rows_of(20, seed=1)}, folds=4)

    @pytest.mark.parametrize("given", ["validation", "test", "time_column"])
    def test_what_folds_exclude(self, given: str) -> None:
        with pytest.raises(ConfigError, match=facts("folds is 4", given)):
            load_data(rows_of(50), folds=4, **{given: "author"})  # type: ignore[arg-type]

    @pytest.mark.parametrize("given", [{"folds": 1}, {"folds": 4, "fold_repeats": 0}, {"fold_repeats": 5}])
    def test_numbers_that_are_no_numbers_of_folds(self, given: dict[str, int]) -> None:
        with pytest.raises(ConfigError, match="fold"):
            load_data(rows_of(50), **given)  # type: ignore[arg-type]
