"""The model card: valid metadata, the numbers of the objects, and user text that is shown rather than obeyed."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any, cast

import pytest
from markdown_it import MarkdownIt

from emotune.evaluation.comparison import Comparison
from emotune.evaluation.words.leaks import leaks_sentence
from emotune.evaluation.words.verdict import sentences
from emotune.folder.tuned import TunedClassifier
from emotune.methods.bitfit import BitFit
from emotune.methods.bottleneck import Bottleneck
from emotune.methods.full import FullFineTuning
from emotune.methods.lora import LoRA
from emotune.report.model_card import model_card
from emotune.system.text import printable
from emotune.tasks.calibration import Trust, assess

from .conftest import EMOTIONS, HOSTILE, UNTRAINED, make_comparison, make_comparison_without, make_record
from .test_html import leaks_of

SNIPPET = """```python
from peft import AutoPeftModelForSequenceClassification
from transformers import AutoConfig, AutoTokenizer

folder = "fine_tuned_lora_model"
config = AutoConfig.from_pretrained(folder)  # the labels
model = AutoPeftModelForSequenceClassification.from_pretrained(
    folder, num_labels=config.num_labels, id2label=config.id2label, label2id=config.label2id
)
tokenizer = AutoTokenizer.from_pretrained(folder)
```
"""


def make_classifier(labels: tuple[str, ...] = EMOTIONS, **changes: Any) -> TunedClassifier:
    classifier = TunedClassifier(
        name="sentence-transformers/all-MiniLM-L6-v2",
        source="bundled:minilm",
        revision=None,
        model=cast("Any", None),
        tokenizer=cast("Any", None),
        labels=labels,
        max_length=128,
        method=LoRA(r=16),
        training=make_record(),
    )
    return dataclasses.replace(classifier, **changes)


def make_card(
    classifier: TunedClassifier | None = None,
    comparison: Comparison | None = None,
    dataset_name: str = "owner/emotions",
    **changes: Any,
) -> str:
    given: dict[str, Any] = {
        "dataset_notes": ("No test split was given: 240 of the 1,600 training rows were set aside for it.",),
        "trust": make_trust(None),
        "versions": {"emotune": "0.1.0", "torch": "2.13.0+cpu"},
        "command": "emotune run --model bundled:minilm",
        "created": "2025-11-23",
    }
    return model_card(
        classifier=classifier or make_classifier(),
        comparison=comparison or make_comparison(),
        dataset_name=dataset_name,
        **given | changes,
    )


def make_trust(temperature: float | None) -> Trust:
    after = make_comparison().after
    assert after.probabilities is not None
    return assess(after.split.label_ids, after.probabilities, temperature)


def test_scaling_is_called_worse_where_it_is() -> None:
    trust = make_trust(0.1)
    assert trust.scaled is not None
    assert trust.scaled.loss > trust.plain.loss
    card = make_card(make_classifier(temperature=0.1), trust=trust)
    assert "calibrates" not in card
    assert f"the loss from {trust.plain.loss:.3f} to {trust.scaled.loss:.3f} (worse)" in card
    assert f"the Brier score from {trust.plain.brier:.4f} to {trust.scaled.brier:.4f} (worse)" in card


def test_a_method_without_adapters_has_no_table_of_them() -> None:
    record = make_record().changed(target_modules=(), trainable_parameters=23_406_348)
    card = make_card(make_classifier(method=FullFineTuning(), training=record))
    assert "adapted modules" not in card
    assert "23,406,348 of 23,406,348 (100.00 %)" in card


def test_without_a_temperature_it_says_why() -> None:
    card = make_card()
    assert "No temperature was fitted" in card
    assert "dividing" not in card


def parse(card: str) -> tuple[dict[str, Any], list[Any]]:
    """The card's metadata as the Hub's own client reads it, and the tokens of its Markdown."""
    from huggingface_hub import ModelCard

    parsed = ModelCard(card)
    data: Any = parsed.data
    return data.to_dict(), MarkdownIt("commonmark").enable("table").parse(parsed.text)


def plain(inline: Any) -> str:
    """What a reader sees of an inline token."""
    return "".join(child.content for child in inline.children)


def tables(tokens: list[Any]) -> list[list[list[str]]]:
    """Every table of the page: its rows, headings first, each a list of cells as a reader sees them."""
    found: list[list[list[str]]] = []
    in_cell = False
    for token in tokens:
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in {"td_open", "th_open", "td_close", "th_close"}:
            in_cell = token.type.endswith("open")
        elif token.type == "inline" and in_cell:
            found[-1][-1].append(plain(token))
    return found


def test_a_class_without_rows_is_named() -> None:
    assert "No row that was scored" not in make_card()
    assert (
        make_card(comparison=make_comparison_without("love")).count("- No row that was scored is labelled 'love': ")
        == 1
    )


@pytest.mark.parametrize("method", [BitFit(), Bottleneck()], ids=["BitFit", "bottleneck"])
@pytest.mark.parametrize("name", ["owner/base", "a-folder"])
def test_a_method_that_peft_lacks_is_registered_first(method: BitFit | Bottleneck, name: str) -> None:
    card = make_card(make_classifier(name=name, method=method))
    assert f"```python\nimport {method.tuner}  # registers {method.title} with PEFT\nfrom peft import" in card
    assert f"PEFT does not include {method.title}" in card
    assert "registers" not in make_card()


def test_metadata_is_what_the_hub_reads() -> None:
    comparison = make_comparison()
    data, _ = parse(make_card(comparison=comparison))
    assert data["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert data["library_name"] == "peft"
    assert data["pipeline_tag"] == "text-classification"
    assert data["datasets"] == ["owner/emotions"]
    assert data["base_model_relation"] == "adapter"
    assert parse(make_card(make_classifier(method=FullFineTuning())))[0]["base_model_relation"] == "finetune"
    assert "base_model_relation" not in parse(make_card(make_classifier(name="a-folder")))[0]
    assert not {"license", "language"} & set(data)
    assert "lora" in data["tags"]
    (result,) = data["model-index"][0]["results"]
    assert result["dataset"] == {"name": "owner/emotions", "type": "owner/emotions", "split": "test"}
    values = {metric["name"]: metric["value"] for metric in result["metrics"]}
    rows = f"{len(comparison.after.split)} rows of test"
    assert values == {
        f"accuracy, {rows}": pytest.approx(comparison.after.metrics.accuracy, abs=5e-5),
        f"macro-F1, {rows}": pytest.approx(comparison.after.metrics.macro_f1, abs=5e-5),
    }


@pytest.mark.parametrize(
    "name", ["bundled:sample", "tweets.csv", '"x": y', "a/b/c", "- list\n---\n# heading", "owner/na me"]
)
def test_data_that_is_not_on_the_hub_has_scores_without_an_id(name: str) -> None:
    data, tokens = parse(make_card(dataset_name=name))
    assert "datasets" not in data
    (model,) = data["model-index"]
    assert model["results"][0]["dataset"] == {"name": printable(name), "type": "unknown", "split": "test"}
    headings = [
        plain(tokens[i + 1]) for i, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h1"
    ]
    shown = name.replace("\n", "\\n")
    assert headings == [f"sentence-transformers/all-MiniLM-L6-v2, fine-tuned on {shown} with LoRA"]


@pytest.mark.parametrize(
    ("name", "revision", "known"),
    [("bert-base-uncased", "86b5e09", True), ("owner/model", None, True), ("my_model", None, False)],
)
def test_a_local_base_model_is_not_called_a_hub_model(name: str, revision: str | None, known: bool) -> None:
    card = make_card(make_classifier(name=name, source=name, revision=revision))
    data, _ = parse(card)
    assert data.get("base_model") == (name if known else None)
    assert ("was a local folder" in card) is not known
    assert revision is None or revision in card


def test_the_folder_is_loaded_by_this_code() -> None:
    assert SNIPPET in make_card()


def test_results_are_those_of_the_comparison() -> None:
    comparison = make_comparison()
    results, by_class, *_ = tables(parse(make_card(comparison=comparison))[1])
    rows = {row[0]: row[1:] for row in results[1:]}
    before, after = comparison.before.metrics, comparison.after.metrics
    majority, words = (baseline.metrics for baseline in comparison.baselines)
    # Chance comes last, and no difference from it is shown.
    assert results[0] == [
        "score",
        "after: tuned",
        "majority class",
        "logistic regression on words",
        "before: base (untrained head), chance",
    ]
    assert rows["accuracy"] == [f"{found.accuracy:.4f}" for found in (after, majority, words, before)]
    (loss,) = (row for name, row in rows.items() if name.startswith("loss (cross-entropy)"))
    assert loss == [f"{after.loss:.3f}", "none", f"{words.loss:.3f}", f"{before.loss:.3f}"]
    assert [row[0] for row in by_class[1:]] == list(EMOTIONS)
    assert by_class[1][4] == f"{words.per_class['sadness'].f1:.4f} → {after.per_class['sadness'].f1:.4f}"


def test_a_base_with_a_trained_head_stands_first_with_the_difference() -> None:
    comparison = make_comparison()
    before = dataclasses.replace(comparison.before, is_chance=False, name="base", note="")
    comparison = dataclasses.replace(comparison, before=before)
    results, by_class, *_ = tables(parse(make_card(comparison=comparison))[1])
    old, new = before.metrics, comparison.after.metrics
    assert results[0][:4] == ["score", "before: base", "after: tuned", "difference"]
    assert results[1] == [
        "accuracy",
        f"{old.accuracy:.4f}",
        f"{new.accuracy:.4f}",
        f"{(new.accuracy - old.accuracy) * 100:+.1f} points",
        *(f"{baseline.metrics.accuracy:.4f}" for baseline in comparison.baselines),
    ]
    assert by_class[1][4] == f"{old.per_class['sadness'].f1:.4f} → {new.per_class['sadness'].f1:.4f}"


def test_the_verdict_leads_with_the_best_baseline_and_has_the_line_about_leaks() -> None:
    comparison = make_comparison()
    leaks = leaks_of(comparison, {0: "exact", 5: "near"})
    card = make_card(comparison=comparison, leaks=leaks)
    (results,) = re.findall(r"## Results\n\n(.*?)\n\nScored on", card, re.DOTALL)
    shown = [plain(token) for token in MarkdownIt("commonmark").parse(results) if token.type == "inline"]
    assert shown == sentences(comparison, leaks=leaks)
    assert "the best baseline on validation ('logistic regression on words')" in shown[0]
    assert leaks_sentence(leaks) in shown[1]
    assert "chance" in shown[2]
    assert "repeat a training row" not in make_card(comparison=comparison)


def test_an_untrained_head_is_explained_and_the_accuracy_has_its_interval() -> None:
    comparison = make_comparison()
    card = make_card(comparison=comparison)
    assert UNTRAINED in card
    # Wilson's interval by its formula.
    n, p, z = len(comparison.after.split), comparison.after.metrics.accuracy, 1.959964
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert f"{centre - half:.4f} to {centre + half:.4f}" in card


def test_training_is_told_as_it_was() -> None:
    card = make_card(make_classifier(training=make_record(4, stopped_early=True)))
    _, _, epochs, targets, _ = tables(parse(card)[1])
    assert [row[0] for row in epochs[1:]] == ["1", "2", "3 (kept)", "4"]
    assert targets[1:] == [
        ["bert.encoder.layer.*.attention.self.query", "6"],
        ["bert.encoder.layer.*.output.dense", "6"],
    ]
    for expected in ("alpha `32.0`", "stopped early", "Seed: 7.", "4 min 31 s", "bf16 on cpu", "torch 2.13.0+cpu"):
        assert expected in card


def test_hostile_labels_are_shown_and_not_obeyed() -> None:
    labels = (*HOSTILE, "a\\|b", "`", "- dash", "1. one", "&amp;", "http://example.org")
    card = make_card(make_classifier(labels), make_comparison(labels, rows=400))
    card.encode("utf-8")  # a lone surrogate would not go into a file
    _, tokens = parse(card)
    kinds = {child.type for token in tokens for child in token.children or []} | {token.type for token in tokens}
    assert not kinds & {"html_inline", "html_block", "em_open", "link_open"}
    assert [token.tag for token in tokens if token.type == "heading_open"].count("h2") == 5
    by_class = tables(tokens)[1]
    assert {len(row) for row in by_class} == {5}
    assert [row[0] for row in by_class[1:]] == [
        *(label.replace("\x1b", "\\x1b").replace("\n", "\\n").replace("\u202e", "\\u202e") for label in labels[:9]),
        "\\ud800",
        *labels[10:],
    ]
    listed = next(plain(token) for token in tokens if token.type == "inline" and "labels: " in plain(token))
    assert "a|b, <script>alert(1)</script>, " in listed


def test_a_hostile_command_stays_in_its_block() -> None:
    command = "emotune run --data 'a```b'\n# heading"
    _, tokens = parse(make_card(command=command))
    assert [token.content for token in tokens if token.type == "fence"][
        -1
    ] == "emotune run --data 'a```b'\\n# heading\n"


def test_modules_and_options_of_any_form() -> None:
    record = make_record().changed(target_modules=("h.0.attn.c_attn", "h.11.attn.c_attn", "score2.x|y"))
    card = make_card(make_classifier(method=LoRA(target_modules=("c_attn", "score2")), training=record))
    targets = tables(parse(card)[1])[3]
    assert targets[1:] == [["h.*.attn.c_attn", "2"], ["score2.x|y", "1"]]
    assert re.search(r"target\\_modules `c_attn, score2`", card)


def test_one_epoch_no_notes_no_command() -> None:
    card = make_card(make_classifier(training=make_record(1)), dataset_notes=(), command="", versions={})
    assert "Made by\n" not in card
    assert [row[0] for row in tables(parse(card)[1])[2][1:]] == ["1 (kept)"]
