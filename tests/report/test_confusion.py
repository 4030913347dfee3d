"""The confusion matrix: right numbers, and a picture that shows them, whatever the labels hold."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import confusion_matrix as reference_confusion_matrix

from emotune.report.confusion import ConfusionMatrix, draw_confusion_matrix
from emotune.report.drawing import settle

from .conftest import EMOTIONS, HOSTILE, UNTRAINED, make_evaluation, make_split


def test_counts_are_those_of_scikit_learn() -> None:
    evaluation = make_evaluation(make_split(rows=500), right=0.4)
    expected = reference_confusion_matrix(
        evaluation.split.label_ids, evaluation.predictions, labels=range(len(EMOTIONS))
    )
    np.testing.assert_array_equal(ConfusionMatrix.of(evaluation).counts, expected)


def test_shares_are_those_of_the_true_label_and_dark_cells_are_light_inside() -> None:
    matrix = ConfusionMatrix(np.array([[1, 3, 0], [0, 0, 0], [2, 0, 2]]))
    np.testing.assert_array_equal(matrix.support, [4, 0, 4])
    np.testing.assert_array_equal(matrix.shares, [[0.25, 0.75, 0], [0, 0, 0], [0.5, 0, 0.5]])
    np.testing.assert_allclose(matrix.tints**2, matrix.shares)
    assert matrix.is_dark.tolist() == [[False, True, False], [False] * 3, [True, False, True]]


def test_cells_show_counts_and_shares_of_their_row() -> None:
    evaluation = make_evaluation(make_split(("yes", "no"), 100), right=0.6)
    (first, second), _ = counts = ConfusionMatrix.of(evaluation).counts
    axes = draw_confusion_matrix(evaluation).axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert f"{first}" in texts
    assert f"\n{first / (first + second):.2f}" in texts
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), counts / counts.sum(axis=1, keepdims=True))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["yes", "no"]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        f"yes ({first + second})",
        f"no ({counts[1].sum()})",
    ]
    assert "tuned on 100 rows of test" in axes.get_title(loc="left")


def test_labels_are_drawn_as_they_are() -> None:
    labels = (*HOSTILE, "🫠", "x" * 500)
    figure = draw_confusion_matrix(make_evaluation(make_split(labels, 300), name="$\\alpha$", note=UNTRAINED))
    settle(figure)
    drawn = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert drawn[0] == "[bold red]joy[/]"
    assert drawn[5:7] == ["two\\nlines", "$\\frac{$"]
    assert drawn[10] == "\\u559c\\u3073"  # the font has no such characters
    assert len(drawn[-1]) < 30
    assert UNTRAINED in figure.get_supxlabel()
