"""What is said of a model's probabilities: how far off they are, and whether the temperature of validation helps on the scored rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.report.formats import nats

if TYPE_CHECKING:
    from emotune.evaluation.calibration import Trust

NO_TEMPERATURE = (
    "No temperature was fitted: the surer, or the less sure, the probabilities are made, the better they fit validation, without end, "
    "as where no validation row is wrong."
)


def probabilities_sentence(found: Trust) -> str:
    """How far the confidence is from the share that is right, and what scaling does to that, to the loss and to the Brier score."""
    plain, scaled = found.plain, found.scaled
    sentence = f"On average the confidence is {_points(plain.ece)} points from the share that is right."
    if scaled is None or found.temperature is None:
        return f"{sentence} {NO_TEMPERATURE}"
    kind = "too sure" if found.temperature > 1 else "not sure enough"
    figures = (
        f"that distance {_change(_points(plain.ece), _points(scaled.ece))}",
        f"the loss {_change(nats(plain.loss), nats(scaled.loss))}",
        f"the Brier score {_change(f'{plain.brier:.4f}', f'{scaled.brier:.4f}')}",
    )
    return (
        f"{sentence} On validation the model was {kind} of itself, and dividing its logits by {found.temperature:.2f} fitted best there. "
        f"On these rows it changes {figures[0]}, {figures[1]}, and {figures[2]}. No label changes."
    )


def _points(value: float) -> str:
    return f"{100 * value:.1f}"


def _change(before: str, after: str) -> str:
    """Two figures of which less is better, as they are shown: "from 8.5 to 13.4 (worse)"."""
    direction = "the same" if before == after else "better" if float(after) < float(before) else "worse"
    return f"from {before} to {after} ({direction})"
