"""Metadata of a model on the Hub: the scores in the model card's `model-index`, and the files `.eval_results/*.yaml`.

Both hold the scores on the test split. A `model-index` may also be about data that the Hub does not have; an entry of
`.eval_results` needs the id of a data set there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emotune.methods.base import Method, PeftMethod
from emotune.system.text import printable
from emotune.system.wording import counted

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TASK = "text-classification"
# What cards on the Hub say where the data has no id there.
NOT_ON_THE_HUB = "unknown"
SCORES = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
"""Scores of the metadata: their keys in `emotune.json`, and their names."""
EVAL_RESULTS = {key: f".eval_results/{key}.yaml" for key in SCORES}
"""Files of the newer format by score: one each, since an entry has no field for the name of its score."""


def model_index(dataset: str, *, on_hub: bool, split: str, rows: int, scores: dict[str, float]) -> list[EvalResult]:
    """Return the scores of a model card.

    Args:
        dataset: The data set's name.
        on_hub: True if the name is its id on the Hub.
        split: Name of the scored split.
        rows: Number of scored rows.
        scores: Values by the keys of `SCORES`.
    """
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type=TASK,
            task_name="Text classification",
            dataset_type=dataset if on_hub else NOT_ON_THE_HUB,
            dataset_name=printable(dataset),
            dataset_split=printable(split),
            metric_type="f1" if key == "macro_f1" else key,
            metric_name=f"{name}, {counted(rows, 'row')} of {printable(split)}",
            metric_value=round(scores[key], 4),
            metric_args={"average": "macro"} if key == "macro_f1" else None,
        )
        for key, name in SCORES.items()
    ]


def eval_results(
    dataset: str, *, config: str | None, revision: str | None, rows: int, scores: dict[str, float], date: str
) -> dict[str, str]:
    """Return the files `.eval_results/*.yaml` by their path.

    Args:
        dataset: The data set's id on the Hub.
        config: Its configuration; the Hub's name of the task is taken to be the same, or "default".
        revision: Its commit, if it is known.
        rows: Number of scored rows of its test split.
        scores: Values by the keys of `SCORES`.
        date: The day, as YYYY-MM-DD.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    from huggingface_hub.utils import yaml_dump

    files = {}
    for key, name in SCORES.items():
        entry = EvalResultEntry(
            dataset_id=dataset,
            task_id=config or "default",
            value=round(scores[key], 4),
            dataset_revision=revision,
            date=date,
            notes=f"{name}, {counted(rows, 'row')} of the test split, measured by emotune",
        )
        files[EVAL_RESULTS[key]] = yaml_dump(eval_result_entries_to_yaml([entry]))
    return files


def relation(method: Method) -> str:
    """Return what a model is to its base in the Hub's words: "adapter" or "finetune"."""
    return "adapter" if isinstance(method, PeftMethod) else "finetune"


def library(method: Method) -> str:
    """Return the library that loads a model, in the Hub's words."""
    return "peft" if isinstance(method, PeftMethod) else "transformers"


def tags(method: Method) -> list[str]:
    """Return the tags of a model."""
    return ["emotune", method.title.lower().replace(" ", "-")]


def card_data(**values: Any) -> Any:
    """Return the metadata of a model card: the fields given, and those of every model of emotune.

    Args:
        values: Fields of `ModelCardData`, among them `method`, which decides library, relation to the base and tags.
    """
    from huggingface_hub import ModelCardData

    method: Method = values.pop("method")
    base = values.get("base_model")
    return ModelCardData(
        library_name=library(method),
        pipeline_tag=TASK,
        tags=tags(method),
        base_model_relation=relation(method) if base else None,
        metrics=["accuracy", "f1", "precision", "recall"],
        **values,
    )
