"""Splits that are cut hold no copies of each other, hold their sizes and classes, and are scikit-learn's where nothing repeats."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from emotune.data.auditing.audit import audit_data
from emotune.data.dataset import Split, TextDataset
from emotune.data.duplicates import find_duplicates
from emotune.data.load import load_data
from emotune.data.splits.splitting import cut_splits
from emotune.system.errors import DataError

from ..facts import facts, states

SIZES = {"test": 0.15, "validation": 0.15}


def split_of(labels: list[int], texts: list[str] | None = None) -> Split:
    names = tuple(f"class {i}" for i in range(max(labels) + 1))
    texts = [f"text {i}" for i in range(len(labels))] if texts is None else texts
    return Split("train", tuple(texts), np.array(labels, dtype=np.int64), names)


def shared_groups(groups: NDArray[np.int64], rows: dict[str, NDArray[np.int64]]) -> int:
    """Groups that stand in more than one split."""
    found = Counter(group for chosen in rows.values() for group in set(groups[chosen].tolist()))
    return sum(count > 1 for count in found.values())


def test_is_train_test_split_where_nothing_repeats() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(4, size=1000, p=[0.5, 0.3, 0.15, 0.05])
    cut = cut_splits(split_of(labels.tolist()), SIZES, seed=7, groups=rng.permutation(1000))
    left, test = train_test_split(np.arange(1000), test_size=150, random_state=7, stratify=labels)
    left = np.sort(left)
    train, validation = train_test_split(left, test_size=150, random_state=7, stratify=labels[left])
    for name, expected in (("test", test), ("validation", validation), ("train", train)):
        assert cut.rows[name].tolist() == sorted(expected.tolist())
    assert not any("Copies" in note for note in cut.notes)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [2, 6, 40])
def test_groups_stay_whole_and_sizes_and_classes_hold(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    group_sizes = rng.choice([1, 2, 3, 5, 30], size=1500, p=[0.5, 0.2, 0.2, 0.09, 0.01])
    groups = np.repeat(np.arange(1500), group_sizes)
    weights = 1 / np.arange(1, classes + 1)
    labels = np.repeat(rng.choice(classes, size=1500, p=weights / weights.sum()), group_sizes)
    other = rng.random(len(labels)) < 0.1  # copies under another label
    labels[other] = rng.integers(classes, size=int(other.sum()))
    order = rng.permutation(len(labels))
    groups, labels = groups[order], labels[order]
    train = split_of(labels.tolist())
    cut = cut_splits(train, SIZES, seed, groups)
    assert shared_groups(groups, dict(cut.rows)) == 0
    assert sorted(np.concatenate(list(cut.rows.values())).tolist()) == list(range(len(labels)))
    for name in SIZES:
        part = cut.splits[name]
        assert len(part) == pytest.approx(0.15 * len(train), rel=0.03)
        for label, count in train.counts.items():
            assert part.counts[label] >= 1
            assert part.counts[label] == pytest.approx(0.15 * count, rel=0.25, abs=2)
        texts = list(part.texts)
        assert texts == sorted(texts, key=lambda text: int(text.split()[1]))
    again = cut_splits(train, SIZES, seed, groups)
    assert all(np.array_equal(again.rows[name], cut.rows[name]) for name in cut.rows)
    assert not np.array_equal(cut_splits(train, SIZES, seed + 1, groups).rows["test"], cut.rows["test"])


def test_each_side_gets_large_and_small_groups_alike() -> None:
    groups = np.concatenate([np.repeat(np.arange(200), 5), np.arange(200, 1200)])
    labels = np.random.default_rng(0).integers(2, size=1200)[groups]
    cut = cut_splits(split_of(labels.tolist()), {"test": 0.2}, 0, groups)
    assert (cut.rows["test"] < 1000).mean() == pytest.approx(0.5, abs=0.03)


def test_three_raters_of_each_text() -> None:
    rng = random.Random(0)
    texts = [f"person {i} said in so many words that thing {i} matters {i}" for i in range(160)]
    rows = [(text, rng.randrange(3)) for text in texts for _ in range(3)]
    train = split_of([label for _, label in rows], [text for text, _ in rows])
    groups = find_duplicates(train.texts).near
    cut = cut_splits(train, SIZES, 0, groups)
    assert not set(cut.splits["test"].texts) & set(cut.splits["train"].texts)
    assert not set(cut.splits["validation"].texts) & {*cut.splits["train"].texts, *cut.splits["test"].texts}
    assert (len(cut.splits["test"]), len(cut.splits["validation"])) == (72, 72)
    assert states(cut.notes[-1], "Copies", "480 rows", "160 groups")


@pytest.mark.parametrize("repeats", [False, True])
def test_a_class_of_three_rows_is_in_every_split(repeats: bool) -> None:
    labels = [0] * 100 + [1] * 100 + [2] * 3
    groups = np.arange(203)
    if repeats:
        groups[1] = 0
    for seed in range(20):
        cut = cut_splits(split_of(labels), SIZES, seed, groups)
        assert [cut.splits[name].counts["class 2"] for name in ("train", "validation", "test")] == [1, 1, 1]


def test_a_class_of_copies_alone_is_refused_by_name() -> None:
    groups = np.concatenate([np.arange(100), np.repeat([100, 101], 5)])
    with pytest.raises(DataError) as error:
        cut_splits(split_of([0] * 50 + [1] * 50 + [2] * 10), SIZES, 0, groups)
    assert str(error.value).startswith(
        "The class 'class 2' has 10 rows of 2 different texts (nearly equal ones count as one); "
        "cutting test and validation from the training rows needs at least 3 different texts of every class"
    )


def test_classes_that_only_share_groups_are_refused_or_cut_right() -> None:
    # Class 1 stands in two groups only, each also with class 0: one cut can have one of them.
    groups = np.array([*range(40), 40, 40, 41, 41])
    labels = [0] * 40 + [0, 1, 0, 1]
    cut = cut_splits(split_of(labels), {"test": 0.2}, 0, groups)
    assert [cut.splits[name].counts["class 1"] for name in ("train", "test")] == [1, 1]
    assert shared_groups(groups, dict(cut.rows)) == 0


def test_a_large_group_goes_to_training_and_is_named() -> None:
    groups = np.concatenate([np.zeros(600, dtype=np.int64), np.arange(1, 401)])
    labels = np.random.default_rng(0).integers(2, size=1000)
    cut = cut_splits(split_of(labels.tolist()), SIZES, 0, groups)
    assert [len(cut.splits[name]) for name in ("train", "validation", "test")] == [700, 150, 150]
    assert cut.notes[-1].endswith("each in one split; the largest has 600 rows, all in train.")


def test_a_class_in_a_large_group_is_named_where_its_share_cannot_be_kept() -> None:
    groups = np.concatenate([np.zeros(300, dtype=np.int64), np.arange(1, 701)])
    labels = [1] * 300 + [0] * 680 + [1] * 20
    cut = cut_splits(split_of(labels), {"test": 0.1}, 0, groups)
    assert cut.splits["test"].counts["class 1"] >= 1
    (note,) = (note for note in cut.notes if "share" in note)
    assert "'class 1' has 20 for 28 expected" in note


def test_a_group_that_leaves_too_little_is_refused_with_what_to_do() -> None:
    groups = np.concatenate([np.zeros(900, dtype=np.int64), np.arange(1, 101)])
    labels = np.random.default_rng(0).integers(2, size=1000)
    with pytest.raises(DataError, match=facts("largest group", "900 of the 1,000 rows")) as error:
        cut_splits(split_of(labels.tolist()), {"test": 0.3}, 0, groups)
    assert "give the splits as files" in str(error.value)


@pytest.fixture
def copied(tmp_path_factory: pytest.TempPathFactory) -> TextDataset:
    """Texts of the sample, a third of them twice more with a word changed, cut by `load_data`."""
    sample = load_data("bundled:sample").train
    rng = random.Random(0)
    lines = ["text,label"]
    for row, text in enumerate(sample.texts):
        words = text.replace('"', "").replace(",", " ").split()
        label = sample.labels[sample.label_ids[row]]
        lines.append(f'"{" ".join(words)}",{label}')
        if row % 3 == 0 and len(words) >= 7:
            for copy in range(2):
                changed = list(words)
                changed[rng.randrange(len(words))] = f"zz{copy}"
                lines.append(f'"{" ".join(changed)}",{label}')
    file = tmp_path_factory.mktemp("copied") / "rows.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    return load_data(file)


def test_no_leak_is_left_after_loading(copied: TextDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = find_duplicates([text for split in copied.splits for text in split.texts])
    monkeypatch.setattr("emotune.data.auditing.audit.find_duplicates", lambda texts: pytest.fail("searched twice"))
    audit = audit_data(copied)
    assert audit.leaks == ()
    assert audit.validation_leaks == ()
    assert len(audit.repeated("train", ("near",))) > 100
    for kind in ("exact", "trivial", "near", "words"):
        assert np.array_equal(getattr(audit.groups, kind), getattr(fresh, kind))


def test_groups_are_not_taken_for_those_of_other_texts(copied: TextDataset) -> None:
    from dataclasses import replace

    changed = replace(copied, test=replace(copied.test, texts=(copied.train.texts[0], *copied.test.texts[1:])))
    assert len(audit_data(changed).leaked("test", ("exact",))) == 1


class TestSplitsThatAreGiven:
    """What is cut repeats neither training rows nor those of a split that is given: settings are chosen on one, scored on the other."""

    WORDS = (
        "all",
        "of",
        "these",
        "long",
        "texts",
        "are",
        "quite",
        "different",
        "in",
        "their",
        "words",
        "and",
        "number",
    )

    def rows(self, count: int) -> list[tuple[str, str]]:
        rng = random.Random(0)
        return [(" ".join(rng.choices(self.WORDS, k=9)) + f" {i} {i * i}", "ab"[i % 2]) for i in range(count)]

    @pytest.mark.parametrize("given", ["validation", "test"])
    def test_share_no_text_with_those_that_are_cut(self, given: str) -> None:
        rows = self.rows(200)
        copies = [(f"RT @someone: {text.upper()}!", label) for text, label in rows[:60]]
        data = load_data(rows, **{given: copies})  # type: ignore[arg-type]
        near = find_duplicates([text for split in data.splits for text in split.texts]).near
        _, validation, test = np.split(near, np.cumsum([len(split) for split in data.splits])[:2])
        assert not set(validation.tolist()) & set(test.tolist())
        assert any("60 training rows repeat rows of a split that is given" in note for note in data.notes)
        assert len({text for text, _ in rows[:60]} - set(data.train.texts)) == 0
        other = data.test if given == "validation" else data.validation
        assert len(other) == 30

    def test_that_hold_nearly_all_of_training_are_said_to_be_shared(self) -> None:
        rows = self.rows(100)
        data = load_data(rows, validation=rows[:90])
        assert len(data.test) == 15
        assert any("too few others are left" in note for note in data.notes)

    def test_the_groups_that_are_known_are_those_of_all_splits(self) -> None:
        rows = self.rows(120)
        data = load_data([*rows, *rows[:9]], validation=rows[:20])
        texts = [split.texts for split in data.splits]
        assert data.known_groups is not None
        known = data.known_groups.of(texts)
        assert known is not None
        expected = find_duplicates([text for part in texts for text in part])
        for kind in ("exact", "trivial", "near", "words"):
            np.testing.assert_array_equal(getattr(known, kind), getattr(expected, kind))
