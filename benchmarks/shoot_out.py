"""Put a finished sweep into the documentation: its leaderboard with the protocol as a page, and its first chart as a picture.

    emotune sweep --preset shoot-out
    python benchmarks/shoot_out.py sweep

writes docs/shoot-out.md and docs/images/shoot-out.png from the sweep's own leaderboard.md and leaderboard.html, changing nothing, and
copies leaderboard.json to benchmarks/results/shoot_out.json. What it adds is how each method compares with full fine-tuning, and QLoRA with
LoRA, from the trials' predictions.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import defaultdict
from pathlib import Path

from emotune.artifact import PREDICTIONS
from emotune.evaluation.paired import Interval
from emotune.evaluation.saved import read_predictions
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.seeds import compare_over_seeds

sys.path.insert(0, str(Path(__file__).parent))
from picture import photograph
from results import RESULTS

DOCS = Path(__file__).parent.parent / "docs"
PAGE = """# The shoot-out

{count} ways of fine-tuning, one small BERT, the same tweets: what `emotune sweep --preset shoot-out` found.
What follows from it: [Which method should I use?](which-method.md)

![Macro-F1 on validation by training time, one point a method](images/shoot-out.png)

{leaderboard}
## Beside full fine-tuning

How far each method's test scores are above those of full fine-tuning, in points, with 95 % intervals that count other seeds and other rows;
at the end QLoRA's above LoRA's.

| configuration | accuracy | macro-F1 |
|---|---|---|
{beside}
"""
YARDSTICK = "full fine-tuning"


def main() -> None:
    """Write the page from the folder that the command line names."""
    sweep = Path(sys.argv[1])
    found = json.loads((sweep / "leaderboard.json").read_text(encoding="utf-8"))
    if "--preset shoot-out" not in found["command"]:
        raise SystemExit(f"{sweep} is another sweep: {found['command'] or 'made by a program'}.")
    scored = evaluations(sweep)
    labels = [row["label"] for row in found["rows"]]
    pairs = [(label, YARDSTICK) for label in labels if label != YARDSTICK] + [("QLoRA", "LoRA")]
    text = PAGE.format(
        count=len(labels),
        leaderboard=(sweep / "leaderboard.md").read_text(encoding="utf-8"),
        beside="\n".join(_difference(label, yardstick, scored) for label, yardstick in pairs),
    )
    (DOCS / "shoot-out.md").write_text(text, encoding="utf-8")
    shutil.copyfile(sweep / "leaderboard.json", RESULTS / "shoot_out.json")
    photograph(sweep / "leaderboard.html", DOCS / "images" / "shoot-out.png", "figure")


def evaluations(sweep: Path) -> dict[str, list[Evaluation]]:
    """What every trial predicted on the test split, by configuration, in the order of the seeds."""
    found: dict[str, dict[int, Evaluation]] = defaultdict(dict)
    for path in sweep.glob("trials/*/result.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        label, _, seed = result["trial"].rpartition(", seed ")
        found[label][int(seed)] = read_predictions(path.parent / PREDICTIONS, tuple(result["labels"]), result["trial"])
    return {label: [by_seed[seed] for seed in sorted(by_seed)] for label, by_seed in found.items()}


def _difference(label: str, yardstick: str, scored: dict[str, list[Evaluation]]) -> str:
    """A row of the second table."""
    found = compare_over_seeds(scored[yardstick], scored[label])
    name = label if yardstick == YARDSTICK else f"{label} above {yardstick}"
    return f"| {name} | {_points(found.accuracy)} | {_points(found.macro_f1)} |"


def _points(found: Interval) -> str:
    return f"{100 * found.estimate:+z.2f} ({100 * found.low:+z.2f} to {100 * found.high:+z.2f})"


if __name__ == "__main__":
    main()
