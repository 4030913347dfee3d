"""Target modules: what a pattern matches is what is adapted, and a pattern that matches nothing is refused."""

from __future__ import annotations

import pytest

from emotune.models.targets import resolve_targets, summarize_targets
from emotune.system.errors import MethodError

# Two layers of BERT, in the model's order.
BERT = tuple(
    f"bert.encoder.layer.{layer}.{module}"
    for layer in (0, 1)
    for module in (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    )
)


def in_both_layers(*modules: str) -> tuple[str, ...]:
    return tuple(name for name in BERT if name.split(".", 4)[4] in modules)


def test_all_linear_is_everything_in_order() -> None:
    assert resolve_targets(BERT, "all-linear") == BERT


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["query"], in_both_layers("attention.self.query")),
        (["value", "query"], in_both_layers("attention.self.query", "attention.self.value")),
        (["attention.output.dense"], in_both_layers("attention.output.dense")),
        (["output.dense"], in_both_layers("attention.output.dense", "output.dense")),
        (["dense"], in_both_layers("attention.output.dense", "intermediate.dense", "output.dense")),
        (["layer.1.attention.self.key"], (BERT[7],)),
        ([BERT[0]], (BERT[0],)),
        (["query", "attention.self.query"], in_both_layers("attention.self.query")),
    ],
)
def test_a_name_matches_the_modules_that_end_with_it(names: list[str], expected: tuple[str, ...]) -> None:
    assert expected
    assert resolve_targets(BERT, names) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r".*\.(query|value)", in_both_layers("attention.self.query", "attention.self.value")),
        (r"bert\.encoder\.layer\.0\..*", BERT[:6]),
        (r".*\d.*query", in_both_layers("attention.self.query")),
    ],
)
def test_a_string_is_a_regular_expression_over_full_names(pattern: str, expected: tuple[str, ...]) -> None:
    assert resolve_targets(BERT, pattern) == expected


@pytest.mark.parametrize("name", ["uery", "self", "layer", "encoder", "ense", "pooler.dense", "classifier", ""])
def test_part_of_a_word_or_a_module_that_is_not_a_layer_matches_nothing(name: str) -> None:
    with pytest.raises(MethodError, match="no linear layer"):
        resolve_targets(BERT, [name])


@pytest.mark.parametrize(
    ("name", "closest"),
    [("v_proj", "value"), ("q_proj", "query"), ("qeury", "query"), ("Query", "query"), ("denes", "dense")],
)
def test_the_error_names_the_closest_modules(name: str, closest: str) -> None:
    with pytest.raises(MethodError) as raised:
        resolve_targets(BERT, [name])
    message = str(raised.value)
    seen, _, remedy = message.partition("The closest are: ")
    assert f"'{name}'" in seen
    assert closest in remedy.partition(".")[0].split(", ")
    assert "all-linear" in message


def test_the_error_lists_the_names_there_are_where_none_is_close() -> None:
    with pytest.raises(MethodError) as raised:
        resolve_targets(BERT, ["xyzzy"])
    assert "query, key, value, dense" in str(raised.value)
    assert "closest" not in str(raised.value)


def test_one_bad_name_among_good_ones_is_an_error_that_names_it_alone() -> None:
    with pytest.raises(MethodError) as raised:
        resolve_targets(BERT, ["query", "xyzzy", "value", "plugh"])
    seen = str(raised.value).partition(" match")[0]
    assert seen == "target_modules 'xyzzy', 'plugh'"


@pytest.mark.parametrize("pattern", ["v_proj", "encoder", "(?i)QUERIES"])
def test_a_pattern_that_matches_nothing_is_an_error(pattern: str) -> None:
    with pytest.raises(MethodError, match="no linear layer"):
        resolve_targets(BERT, pattern)


def test_what_is_not_a_regular_expression_is_an_error() -> None:
    with pytest.raises(MethodError, match=r"'\(query' is not a regular expression"):
        resolve_targets(BERT, "(query")


def test_an_empty_list_is_an_error() -> None:
    with pytest.raises(MethodError, match="is empty"):
        resolve_targets(BERT, [])


def test_the_summary_groups_layers_and_keeps_the_order() -> None:
    assert summarize_targets(BERT[:2] + BERT[6:8]) == (
        "bert.encoder.layer.*.attention.self.query (2), bert.encoder.layer.*.attention.self.key (2)"
    )
    assert summarize_targets(("transformer.h.11.attn.c_attn", "score2")) == "transformer.h.*.attn.c_attn, score2"
    assert summarize_targets(()) == ""
