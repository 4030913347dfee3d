"""Verify a saved folder: load it in a fresh process, and compare logits and labels with the saved ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from emotune.folder.check import FAST, MODULES, SAVED
from emotune.folder.format import KEPT, LOGIT_TOLERANCE, PREDICTIONS
from emotune.folder.place import saved_folder
from emotune.folder.plain import is_plain
from emotune.folder.verification import Verification
from emotune.system.errors import ArtifactError, VerificationError
from emotune.system.wording import counted, enumerated


def verify(
    folder: str | Path,
    *,
    base: str | Path | None = None,
    revision: str | None = None,
    most_rows: int | None = None,
) -> Verification:
    """Check a saved folder in a fresh process.

    A plain folder of transformers or PEFT has no saved results. It is loaded in two fresh processes, which have to give
    the same logits: one with emotune's own arithmetic, the other with the modules of transformers and PEFT.

    Files that were left out when the folder was pushed to the Hub are not required; the result names them.

    Args:
        folder: A folder written by `save` or `emotune run`, or a name on the Hub as in `load`.
        base: The location of the base model, if the folder does not name it.
        revision: Branch, tag or commit on the Hub.
        most_rows: Most saved test rows to predict again, a sample of them; None for all.

    Returns:
        The result, which always passed.

    Raises:
        ArtifactError: The folder is incomplete or damaged.
        VerificationError: Predictions or files differ from the saved ones, or predictions are missing.
        HubError: The folder is on the Hub, and the Hub cannot be reached.
    """
    folder = saved_folder(folder, revision)
    if is_plain(folder):
        return _verify_plain(folder, base)
    found = json.loads(_in_fresh_process(SAVED, folder, base, most_rows))
    lists = {name: tuple(found[name]) for name in ("changed_files", "missing_files", "left_out")}
    result = Verification(**{**found, **lists})
    if not result.ok:
        raise VerificationError(in_words(result, folder))
    return result


def _verify_plain(folder: Path, base: str | Path | None) -> Verification:
    """Compare a plain folder's results in two fresh processes: emotune's arithmetic, and the modules of transformers."""
    first, second = (json.loads(_in_fresh_process(way, folder, base)) for way in (FAST, MODULES))
    difference = float(np.abs(np.asarray(first["logits"]) - np.asarray(second["logits"])).max())
    changed = sum(one != other for one, other in zip(first["labels"], second["labels"], strict=True))
    rows = len(first["labels"])
    if not difference <= LOGIT_TOLERANCE:
        raise VerificationError(
            f"'{folder}' gives other logits in one fresh process than in another: the largest difference is {difference:.3g} "
            f"(at most {LOGIT_TOLERANCE:g} passes), with {counted(changed, 'label')} of {rows} changed. Do not use this folder."
        )
    return Verification(rows, difference, LOGIT_TOLERANCE, changed, (), probe_difference=difference, was_saved=False)


def _in_fresh_process(way: str, folder: Path, base: str | Path | None, most_rows: int | None = None) -> str:
    """Return the last line that `emotune.folder.check` prints for a folder."""
    options = [json.dumps(None if base is None else str(base)), json.dumps(most_rows)]
    command = [sys.executable, "-P", "-m", "emotune.folder.check", way, str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = done.stdout.strip().splitlines()[-1:] or [""]
    if done.returncode == 2:
        raise ArtifactError(last[0])
    if done.returncode != 0:
        raise VerificationError(f"Loading '{folder}' in a fresh process failed:\n{done.stderr.strip()[-2000:]}")
    return last[0]


def in_words(found: Verification, folder: str | Path) -> str:
    """Describe a failed check in three lines: the folder, the model in it, and the remedy.

    Args:
        found: The result of the check.
        folder: The folder, for the message.
    """
    lists = (("changed", found.changed_files), ("missing", found.missing_files))
    files = "; ".join(f"{how} files: {', '.join(names)}" for how, names in lists if names)
    of_data = {PREDICTIONS, KEPT} & set(found.changed_files + found.missing_files)
    model_changed = set(found.changed_files + found.missing_files) - of_data
    same_logits = found.probe_difference <= found.tolerance
    model = (
        f"The model's files are {'changed' if model_changed else 'unchanged'}, and its logits are {'' if same_logits else 'not '}"
        f"those it was saved with: the largest difference is {found.probe_difference:.3g} (at most {found.tolerance:g} passes)."
    )
    if not found.same_predictions:
        model += (
            f" Over {found.rows} texts the largest difference is {found.largest_difference:.3g}, "
            f"with {counted(found.changed_labels, 'label')} changed."
        )
    # An unchanged model remains usable if only rows that it keeps are missing or changed.
    if same_logits and not model_changed and of_data:
        uses = {PREDICTIONS: "compared or reproduced", KEPT: "computed in int8"}
        which, when = enumerated(sorted(of_data)), " or ".join(uses[name] for name in sorted(of_data))
        remedy = f"The model can be used. Restore {which}, or train again, before it is {when}."
    else:
        remedy = "Do not use this folder: train again, or restore its files."
    return f"'{folder}' has changed since it was saved: {files or 'its predictions differ, though not its files'}.\n{model}\n{remedy}"
