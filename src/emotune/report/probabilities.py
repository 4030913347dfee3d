"""Sentences on a model's probabilities: overconfidence, the part due to chance, and the effect of the temperature."""

from __future__ import annotations

from emotune.evaluation.words.formats import interval_in_points, nats, points_number, signed_points
from emotune.system.wording import counted
from emotune.tasks.calibration import Calibration, Trust

NO_TEMPERATURE = (
    "No temperature was fitted: either no validation row is wrong, so that more confident probabilities always fit better, or "
    "the model's logits say nothing about the labels."
)


def probabilities_sentence(found: Trust) -> str:
    """Return sentences on confidence and accuracy, the part due to chance, and the effect of scaling."""
    plain, scaled = found.plain, found.scaled
    sentence = f"{_gap_sentence(plain)} {_error_sentence(plain)}"
    if scaled is None or found.temperature is None:
        return f"{sentence} {NO_TEMPERATURE}"
    kind = "too sure" if found.temperature > 1 else "not sure enough"
    error = _change(_points(plain.ece), _points(scaled.ece))
    if plain.is_as_expected and scaled.is_as_expected:  # then "better" and "worse" would be chance
        error = f"from {_points(plain.ece)} to {_points(scaled.ece)} (both are due to chance)"
    figures = (
        f"the difference from {gap(plain)} to {gap(scaled)}",
        f"the ECE {error}",
        f"the loss {_change(nats(plain.loss), nats(scaled.loss))}",
        f"the Brier score {_change(f'{plain.brier:.4f}', f'{scaled.brier:.4f}')}",
    )
    return (
        f"{sentence} On validation the model was {kind} of itself, and dividing its logits by {found.temperature:.2f} fitted best there. "
        f"On these rows it changes {', '.join(figures[:-1])}, and {figures[-1]}. No label changes."
    )


def gap(found: Calibration) -> str:
    """Format mean confidence minus accuracy, in points, with its interval: "+3.3 (95 % interval +1.6 to +5.1)"."""
    interval = found.gap
    return f"{points_number(interval.estimate)} ({interval_in_points(interval)})"


def _gap_sentence(found: Calibration) -> str:
    interval = found.gap
    ends = f"({interval_in_points(interval)} points)"
    if interval.low <= 0 <= interval.high:
        shown = signed_points(interval.estimate)
        return f"The mean confidence differs from the accuracy by {shown} {ends}, which is no evidence of a difference."
    side, kind = ("above", "too sure") if interval.estimate > 0 else ("below", "not sure enough")
    return f"The mean confidence is {_points(abs(interval.estimate))} points {side} the accuracy {ends}: the model is {kind}."


def _error_sentence(found: Calibration) -> str:
    low, high = found.expected_ece_range
    rows = sum(part.rows for part in found.bins)
    return (
        f"The expected calibration error (ECE) is {_points(found.ece)} points; a perfectly calibrated model with these probabilities "
        f"would show {_points(found.expected_ece)} on {counted(rows, 'row')} ({_points(low)} to {_points(high)} in 95 % of cases)."
    )


def _points(value: float) -> str:
    return f"{100 * value:.1f}"


def _change(before: str, after: str) -> str:
    """Format two figures, lower is better, as they are shown: "from 8.5 to 13.4 (worse)"."""
    direction = "the same" if before == after else "better" if float(after) < float(before) else "worse"
    return f"from {before} to {after} ({direction})"
