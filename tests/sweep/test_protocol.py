"""How a leaderboard's figures were made."""

from __future__ import annotations

from dataclasses import replace

from emotune.sweep.leaderboard import SeedNote
from emotune.sweep.plan import Plan
from emotune.sweep.protocol import protocol

from .boards import SETTING, THREE, board, row


def test_protocol_says_what_was_done(plan: Plan) -> None:
    lines = " ".join(protocol(plan, board(*THREE), SETTING))
    assert "16,000 train, 2,000 validation, 2,000 test rows" in lines
    assert "2 seeds (0, 1)" in lines
    assert (
        "A fresh process loaded them onto the base model and computed the same logits: the largest difference was 3e-06."
        in lines
    )
    assert "on this machine, 1 at a time, and trained in bf16 on cpu. " in lines
    assert "All trials together took 1 h 30 min." in lines
    mixed = board(*THREE, arithmetic=("bf16 on cpu", "fp32 on cuda"))
    assert "trained in bf16 on cpu or fp32 on cuda." in " ".join(protocol(plan, mixed, SETTING))
    assert "count the variation between seeds and between rows" in lines
    assert "a pooled standard deviation of 0.63 points (30 degrees of freedom)." in lines
    assert "corrected for 2 comparisons" in lines
    assert "McNemar" not in lines
    assert "Margin" not in lines
    wider = board(*THREE, spread=SeedNote(0.0063, 30.0, ("prompt tuning",)), margin=1.0)
    assert "The seeds of 'prompt tuning' vary more than the others'" in " ".join(protocol(plan, wider, SETTING))
    assert "equivalence (TOST). The standard errors are the same." in " ".join(protocol(plan, wider, SETTING))
    assert "searched" not in lines
    one = " ".join(protocol(replace(plan, seeds=(0,)), board(*THREE, spread=None, power=None), SETTING))
    assert "McNemar's test (mid-p). With one seed, neither counts" in one
    searched = " ".join(protocol(replace(plan, searched=30), board(*THREE), SETTING))
    assert "30 proposals per configuration" in searched
    incomplete = board(THREE[0], row(2, "cut", 0.9, 0.5, missing=(2,)))
    assert "Some seeds did not finish: those of 'cut'" in " ".join(protocol(plan, incomplete, SETTING))
