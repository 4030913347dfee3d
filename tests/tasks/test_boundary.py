"""Nothing outside the tasks and the engine knows how labels follow from logits."""

from __future__ import annotations

import re
from pathlib import Path

import emotune

FORBIDDEN = re.compile(r"argmax|softmax|problem_type")


def test_only_tasks_and_the_engine_say_how_a_label_is_decided() -> None:
    root = Path(emotune.__file__).parent
    said = [
        f"{path.relative_to(root)}:{number}"
        for path in sorted(root.rglob("*.py"))
        if path.relative_to(root).parts[0] not in ("tasks", "engine")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if FORBIDDEN.search(line)
    ]
    assert said == []
