"""Hub data sets, up to the call of the `datasets` library, which a stand-in takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from emotune.data.auditing.audit import audit_source
from emotune.data.load import load_data, load_split
from emotune.system.errors import DataError, HubError

from ..facts import facts

datasets = pytest.importorskip("datasets")

NAMES = ["sadness", "joy", "love", "anger", "fear", "surprise"]
Rows = dict[str, list[Any]]


def hub_rows(count: int, label: Callable[[int], Any] = lambda i: i % 6, names: list[str] | None = NAMES) -> Any:
    rows: Rows = {"text": [f"text {i}" for i in range(count)], "label": [label(i) for i in range(count)]}
    feature = datasets.Value("int64") if names is None else datasets.ClassLabel(names=names)
    return datasets.Dataset.from_dict(
        rows, features=datasets.Features({"text": datasets.Value("string"), "label": feature})
    )


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A Hub of one data set: what `load_dataset` gives or raises stands under "answer", its arguments under "asked"."""
    state: dict[str, Any] = {"configs": ["default"]}

    def load_dataset(*arguments: Any, **options: Any) -> Any:
        state["asked"] = (arguments, options)
        state["bars"] = not datasets.utils.are_progress_bars_disabled()
        if isinstance(state["answer"], Exception):
            raise state["answer"]
        return datasets.DatasetDict(state["answer"])

    @contextmanager
    def translate(what: str, kind: str) -> Iterator[None]:
        try:
            yield
        except ConnectionError as error:
            raise HubError(f"{kind} {what}") from error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda *_, **__: state["configs"])
    monkeypatch.setattr("emotune.data.places.hub_dataset.translate_hub_errors", translate)
    return state


def test_names_and_order_come_from_the_class_label(hub: dict[str, Any]) -> None:
    backwards = NAMES[::-1]
    hub["answer"] = {
        "train": hub_rows(60, names=backwards),
        "validation": hub_rows(12, names=backwards),
        "test": hub_rows(6, names=backwards),
    }
    data = load_data("owner/name", revision="v1")
    assert hub["asked"] == (("owner/name", None), {"revision": "v1"})
    assert data.name == "owner/name"
    assert data.labels == tuple(backwards)
    assert data.train.label_ids.tolist() == [i % 6 for i in range(60)]
    assert data.test.texts == tuple(f"text {i}" for i in range(6))
    assert data.notes == ()


def test_the_default_is_the_emotion_dataset(hub: dict[str, Any]) -> None:
    hub["answer"] = {"train": hub_rows(60)}
    assert load_data().name == "dair-ai/emotion"


def test_more_rows_than_one_batch(hub: dict[str, Any]) -> None:
    hub["answer"] = {"train": hub_rows(2500), "dev": hub_rows(12), "test": hub_rows(12)}
    data = load_data("name")
    assert data.train.texts == tuple(f"text {i}" for i in range(2500))


def test_bare_numbers_sort_as_numbers(hub: dict[str, Any]) -> None:
    hub["answer"] = {"train": hub_rows(240, lambda i: i % 12, names=None)}
    assert load_data("owner/name").labels == tuple(str(i) for i in range(12))


def test_splits_without_use_are_named(hub: dict[str, Any]) -> None:
    hub["answer"] = {"train": hub_rows(60), "val": hub_rows(6), "test": hub_rows(6), "unsupervised": hub_rows(6)}
    assert load_data("owner/name").notes == ("Splits not used: 'unsupervised'.",)
    assert load_split("owner/name", labels=tuple(NAMES), split="unsupervised").texts[0] == "text 0"


def test_progress_bars_are_off_during_the_call_only(hub: dict[str, Any]) -> None:
    hub["answer"] = {"train": hub_rows(60)}
    datasets.utils.enable_progress_bars()
    load_data("owner/name")
    assert hub["bars"] is False
    assert not datasets.utils.are_progress_bars_disabled()


def test_withheld_labels(hub: dict[str, Any]) -> None:
    hub["answer"] = {"train": hub_rows(60), "test": hub_rows(6, lambda _: -1)}
    data = load_data("owner/name")
    assert re.search(facts("owner/name (test)", "row 1", "no labels", "-1", "withheld"), data.notes[0])
    assert len(data.test) == 9


def test_several_configurations(hub: dict[str, Any]) -> None:
    hub["answer"] = ValueError("Config name is missing.")
    hub["configs"] = ["split", "unsplit"]
    with pytest.raises(DataError, match=facts("'split', 'unsplit'")):
        load_data("owner/name")


def test_unknown_configuration(hub: dict[str, Any]) -> None:
    hub["answer"] = ValueError("BuilderConfig 'x' not found.")
    with pytest.raises(DataError, match=facts("no configuration 'x'", "'default'")):
        load_data("owner/name", config="x")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("Feature type 'Novelty' not found.\nMore"), "cannot be loaded: Feature type 'Novelty' not found."),
        (RuntimeError("Dataset scripts are no longer supported, but found name.py"), "only by running code"),
        (datasets.exceptions.DataFilesNotFoundError("none"), "holds no data files"),
        (datasets.exceptions.DatasetGenerationError("An error occurred"), "files cannot be read: An error occurred."),
    ],
)
def test_data_sets_that_cannot_be_read(hub: dict[str, Any], error: Exception, said: str) -> None:
    hub["answer"] = error
    with pytest.raises(DataError, match=said):
        load_data("owner/name")


def test_errors_of_the_hub_are_translated(hub: dict[str, Any]) -> None:
    hub["answer"] = ConnectionError("no route")
    with pytest.raises(HubError, match="dataset owner/name"):
        load_data("owner/name")


def test_two_splits_of_one_meaning(hub: dict[str, Any]) -> None:
    hub["answer"] = {"train": hub_rows(60), "val": hub_rows(6), "validation": hub_rows(6)}
    with pytest.raises(DataError, match="would be validation"):
        load_data("owner/name")


def test_no_train_split(hub: dict[str, Any]) -> None:
    hub["answer"] = {"test": hub_rows(60)}
    with pytest.raises(DataError, match=facts("no train split", "'test'")):
        load_data("owner/name")


def test_an_audit_takes_the_splits_there_are_and_needs_one(hub: dict[str, Any]) -> None:
    hub["answer"] = {"test": hub_rows(60)}
    assert list(audit_source("owner/name").counts) == ["test"]
    hub["answer"] = {"unsupervised": hub_rows(60)}
    with pytest.raises(DataError, match=facts("train, validation, test", "'unsupervised'")):
        audit_source("owner/name")
