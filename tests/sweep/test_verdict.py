"""What a leaderboard comes to, and what a reader of the scores must know."""

from __future__ import annotations

from dataclasses import replace

from emotune.evaluation.differences import Difference
from emotune.evaluation.seeds import WinnersExcess
from emotune.report.tables import render
from emotune.statistics.paired import Interval
from emotune.sweep.leaderboard import LeaderboardRow
from emotune.sweep.terminal import leaderboard_table
from emotune.sweep.verdict import leaderboard_verdict, notes

from .boards import THREE, board, row


def test_verdict_names_what_the_test_rows_can_tell_apart() -> None:
    found = leaderboard_verdict(board(*THREE, row(4, "odd", 0.7, 0.01, gain=0.03), row(5, "IA3", 0.7, 0.06)))
    assert found.startswith(
        "Best on validation: 'LoRA', macro-F1 0.8950 ± 0.0071; on the test split accuracy 0.9200 ± 0.0141"
    )
    assert "Worse than 'LoRA': 'BitFit' (accuracy)." in found
    assert "Different from 'LoRA' before the correction for 4 comparisons, not after it: 'IA3' (accuracy)." in found
    assert "No evidence of a difference from 'LoRA' in either score, with 2 seeds and 2,000 test rows: 'full'." in found
    assert (
        "Better than 'LoRA' on the test rows, though validation, which decides, put it first: 'odd' (accuracy)."
        in found
    )
    assert leaderboard_verdict(board(THREE[0])).endswith("macro-F1 0.8850 ± 0.0071.")


def test_verdict_counts_macro_f1_as_well() -> None:
    """The order is by macro-F1, so a difference in it alone is one."""

    def by_macro_f1(rank: int, name: str, gain: float, accuracy_p: float = 0.4) -> LeaderboardRow:
        interval = Interval(gain, gain - 0.01, gain + 0.01)
        found = Difference(2, Interval(-0.001, -0.01, 0.01), interval, accuracy_p, accuracy_p, 0.001, 0.001)
        return replace(row(rank, name, 0.8, 0.4), against_best=found)

    found = leaderboard_verdict(board(THREE[0], by_macro_f1(2, "IA3", -0.05), by_macro_f1(3, "DoRA", 0.05, 0.01)))
    assert "Worse than 'LoRA': 'IA3' (macro-F1)." in found
    assert "Better than 'LoRA' in one score and worse in the other: 'DoRA'." in found
    assert "No evidence" not in found


def test_the_winners_score_is_said_to_be_too_high() -> None:
    said = " ".join(notes(board(*THREE)))
    assert (
        "'LoRA' was chosen by its validation score, which is therefore too high: by about 0.5 points of macro-F1"
        in said
    )
    assert "if the 4 configurations that validation cannot tell apart are equally good" in said
    assert "Nothing was chosen by the test scores" in said
    alone = " ".join(notes(board(*THREE, excess=WinnersExcess(1, 0.0, True))))
    assert "no other comes near, so that score is hardly too high." in alone
    unknown = " ".join(notes(board(*THREE, excess=None)))
    assert "which is therefore too high. Nothing was chosen" in unknown
    assert notes(board(THREE[0])) == []


def test_power_is_said() -> None:
    said = " ".join(notes(board(*THREE)))
    assert (
        "With 2 seeds and 2,000 test rows a difference in accuracy of 1.2 points from the best would be found "
        "about four times out of five, and one of "
        "1.6 points once corrected for 2 comparisons; a smaller one less often." in said
    )


def test_one_seed_is_warned_of_beside_the_table() -> None:
    one = board(*THREE, spread=None, power=None, excess=WinnersExcess(4, 0.0052, False))
    said = " ".join(notes(one))
    assert "One seed each: another seed gives another model, and no p-value here counts that." in said
    assert "about half of the leaderboards named at least one as worse" in said
    assert "other seeds not counted" in said
    assert "One seed" in render(leaderboard_table(one))
    assert not any("One seed" in line for line in notes(board(*THREE)))
