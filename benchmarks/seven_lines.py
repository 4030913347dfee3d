"""Run the seven lines of the README, and put their output below them.

    python benchmarks/seven_lines.py

takes about a minute on two cores and needs no network. The lines and their output go to
benchmarks/results/seven_lines.json. The README shows the scores and the verdict, with "…" for omitted lines.
"""

from __future__ import annotations

import io
import re
import tempfile
from contextlib import chdir, redirect_stdout

from results import ROOT, machine, quote, write

README = ROOT / "README.md"
# Lines that the README shows: the scores in the verdict, and the verdict.
SHOWN = re.compile(r"score .*|─+|accuracy .*|macro-F1 .*")
VERDICT = "'tuned' "


def seven_lines() -> str:
    """Return the first Python block of the README."""
    found = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise SystemExit("The README has lost its Python block.")
    return found.group(1)


def printed(code: str) -> list[str]:
    """Return the output of the lines, run in an empty folder."""
    out = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, chdir(folder), redirect_stdout(out):
        exec(compile(code, README.name, "exec"), {})
    return out.getvalue().rstrip().splitlines()


def excerpt(lines: list[str]) -> list[str]:
    """Return the lines that the README shows, with "…" in place of each run of others."""
    scores_end = lines.index("", lines.index("Scores"))
    verdict = next(number for number, line in enumerate(lines) if line.startswith(VERDICT))
    shown: list[str] = []
    for number, line in enumerate(lines):
        if number >= verdict or (number < scores_end and SHOWN.fullmatch(line.rstrip())):
            shown.append(line.rstrip())
        elif shown and shown[-1] != "…":
            shown.append("…")
    return shown


def main() -> None:
    """Run, then write the result and the README."""
    code = seven_lines()
    lines = printed(code)
    write("seven_lines", {"machine": machine(), "code": code, "printed": lines})
    block = "\n".join(excerpt(lines))
    quote("seven_lines", f"```\n{block}\n```\n", README)
    print(block)


if __name__ == "__main__":
    main()
