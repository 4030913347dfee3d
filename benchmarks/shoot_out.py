"""Put a finished sweep into the documentation: its leaderboard and protocol as a page, its first chart as a picture.

    emotune sweep --preset shoot-out
    python benchmarks/shoot_out.py sweep

writes docs/shoot-out.md and docs/images/shoot-out.png from the sweep's leaderboard.md and leaderboard.html,
unchanged, and copies leaderboard.json to benchmarks/results/shoot_out.json. It adds the comparison of QLoRA with
LoRA, from the trials' predictions.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import defaultdict
from pathlib import Path

from emotune.evaluation.saved import read_predictions
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.seeds import SeedStudy
from emotune.folder.format import PREDICTIONS
from emotune.statistics.paired import Interval

sys.path.insert(0, str(Path(__file__).parent))

DOCS = Path(__file__).parent.parent / "docs"
PAGE = """# The shoot-out

{count} ways of fine-tuning one small BERT on the same tweets: the results of
`emotune sweep --preset shoot-out`. For the conclusions, see
[Which method should I use?](which-method.md)

![Macro-F1 on validation by training time, one point per method](images/shoot-out.png)

{leaderboard}
## QLoRA beside LoRA

QLoRA's test scores minus LoRA's, in points. Intervals (95 %) and p-values are by the same model as
above, and not corrected.

| | difference | p |
|---|---|---|
{beside}

## How the p-values are computed

Test scores vary for two reasons: other seeds give other models, and other rows are easier or
harder. The p-values count both.

- **Seeds.** Three seeds give a poor estimate of the variance between seeds: an interval from three
  seeds is 2.2 times as wide as one from many. So the variance is pooled over all configurations
  that agree in it. A configuration whose seeds vary more (Cochran's test, and an F test at 5 %) is
  tested with its own variance only.
- **Rows.** Two configurations are compared row by row, so the difficulty that they share cancels.
- **Interaction.** The effect of one seed on one row is in both variances. The two-way analysis of
  variance removes it from one of them.
- **Combination.** The two parts are combined by the Behrens-Fisher method. The p-values are
  corrected for the number of comparisons (Holm).

`benchmarks/seed_tests.py` measures how often these tests err for equal configurations, and how
often they find a difference. Its figures are in [the log](../benchmarks/LOG.md) and in
`benchmarks/results/seed_tests.json`.
"""
COMPARED = ("LoRA", "QLoRA")


def main() -> None:
    """Write the page from the folder that the command line names."""
    from picture import photograph
    from results import RESULTS

    sweep = Path(sys.argv[1])
    (DOCS / "shoot-out.md").write_text(page(sweep), encoding="utf-8")
    shutil.copyfile(sweep / "leaderboard.json", RESULTS / "shoot_out.json")
    photograph(sweep / "leaderboard.html", DOCS / "images" / "shoot-out.png", "figure")


def page(sweep: Path) -> str:
    """Return the page of a finished sweep.

    Raises:
        SystemExit: It is another sweep, or a compared configuration did not finish.
    """
    found = json.loads((sweep / "leaderboard.json").read_text(encoding="utf-8"))
    if "--preset shoot-out" not in found["command"]:
        raise SystemExit(f"{sweep} is another sweep: {found['command'] or 'made by a program'}.")
    return PAGE.format(
        count=len(found["rows"]),
        leaderboard=(sweep / "leaderboard.md").read_text(encoding="utf-8"),
        beside="\n".join(_beside(evaluations(sweep))),
    )


def evaluations(sweep: Path) -> dict[str, dict[int, Evaluation]]:
    """Return every trial's predictions on the test split, by configuration and seed."""
    found: dict[str, dict[int, Evaluation]] = defaultdict(dict)
    for path in sorted(sweep.glob("trials/*/result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        label, _, seed = result["trial"].rpartition(", seed ")
        found[label][int(seed)] = read_predictions(path.parent / PREDICTIONS, tuple(result["labels"]), result["trial"])
    return dict(found)


def _beside(scored: dict[str, dict[int, Evaluation]]) -> list[str]:
    """Return the rows of the second table, with the variance between seeds pooled over all configurations."""
    missing = [label for label in COMPARED if label not in scored]
    if missing:
        raise SystemExit(f"The sweep has no finished trial of {' and '.join(missing)}.")
    labels = list(scored)
    first, second = (labels.index(label) for label in COMPARED)
    found = SeedStudy.of(list(scored.values())).difference(first, second)
    if found is None:
        raise SystemExit(f"{' and '.join(COMPARED)} have no finished seed in common.")
    return [
        f"| accuracy | {_points(found.accuracy)} | {found.p_value:.3f} |",
        f"| macro-F1 | {_points(found.macro_f1)} | {found.macro_f1_p:.3f} |",
    ]


def _points(found: Interval) -> str:
    return f"{100 * found.estimate:+z.2f} ({100 * found.low:+z.2f} to {100 * found.high:+z.2f})"


if __name__ == "__main__":
    main()
