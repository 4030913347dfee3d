"""Export a saved folder: merge, convert, check in a fresh process, and write all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotune.data.dataset import Split
from emotune.evaluation.words.margin import in_points
from emotune.exports.check import LEAST_AGREEMENT, Agreement, compared, fresh_logits
from emotune.exports.description import write_description
from emotune.exports.folder import write_companions, write_merged, write_readme
from emotune.exports.formats import ExportOptions
from emotune.exports.rows import Calibration, calibration_texts, rows_to_check
from emotune.exports.to_onnx import quantize_onnx, write_onnx
from emotune.folder.format import read_description
from emotune.folder.load import load_saved
from emotune.folder.tuned import TunedClassifier
from emotune.inference.graph import captured, inputs_of
from emotune.inference.openvino_model import converted, quantized, write_openvino
from emotune.inference.predictor import Predictor
from emotune.models.encoding import encode
from emotune.system.output import EXPORT_DESCRIPTION, check_output, written_whole
from emotune.system.progress import SILENT, Progress
from emotune.system.quiet import quiet, without_telemetry
from emotune.system.wording import counted

if TYPE_CHECKING:
    from transformers import PreTrainedModel

STEPS = 3
_WITHOUT_GRAPH = "Export it with --to merged, which needs no graph."
_WITHOUT_OPENVINO = "Export it with --to onnx or --to merged."


@dataclass(frozen=True, eq=False)
class Exported:
    """A finished export.

    Attributes:
        folder: The folder that was written.
        options: What was asked.
        agreement: The comparison with the original.
        size: Bytes of the model's files.
        pairs: True if it takes pairs of texts.
    """

    folder: Path
    options: ExportOptions
    agreement: Agreement
    size: int
    pairs: bool = False


def export(
    folder: str | Path,
    *,
    to: str,
    precision: str = "fp32",
    output: str | Path | None = None,
    data: str | Path | None = None,
    calibration: str | Path | None = None,
    reading: Mapping[str, Any] | None = None,
    margin: float = 0.5,
    overwrite: bool = False,
    base: str | Path | None = None,
    progress: Progress = SILENT,
) -> Exported:
    """Export a saved folder to a format that runs without emotune, after checking that it gives the same labels.

    The check runs the export in a fresh process and compares it with the original on the test rows that the folder
    keeps. In fp32 at least 99.9 % of the rows must get the same labels, and logits may differ by rounding only. In int8
    the accuracy on these rows (subset accuracy if they have several labels each) may fall by `margin` points at most;
    whether the rows are enough to show that it is not worse is reported beside it.

    While it converts, the process prints and logs nothing, since the libraries do so much of it.

    Args:
        folder: A folder written by `save` or `emotune run`.
        to: "merged", plain safetensors of transformers; "onnx"; or "openvino".
        precision: "fp32"; or "int8", for ONNX and OpenVINO.
        output: The folder to write; by default FOLDER_FORMAT in the working directory, such as "my_model_onnx_int8".
        data: Labelled rows to check with, for a folder that keeps no test rows.
        calibration: Training texts to calibrate OpenVINO's int8 on, for a folder whose data was local.
        reading: Arguments of `load_data` that say how the rows of `data` and `calibration` are read, such as
            {"text_column": "body", "encoding": "windows-1252"}.
        margin: Points of accuracy that int8 may lose.
        overwrite: Replace an earlier export in the output folder.
        base: Location of the base model, if the folder does not name it.
        progress: Front end that shows the steps.

    Raises:
        ConfigError: An option is not valid, or a library of an extra is not installed.
        ArtifactError: The folder is incomplete, or keeps no test rows and none are given.
        MethodError: What the method trained cannot be merged into the base model's weights.
        ModelError: The model cannot be converted.
        OutputError: The output folder is not empty and `overwrite` is false, or it cannot be written.
        VerificationError: The export differs from the original by more than stated; nothing is written.
    """
    options = ExportOptions(to=to, precision=precision, margin=margin)  # type: ignore[arg-type]  # checked here
    options.check_installed()
    folder = Path(folder)
    description = read_description(folder)
    source = folder.resolve().name
    target = Path(f"{source}_{options.name}" if output is None else output)
    check_output(target, overwrite, [folder, *_local(data, calibration)], mark=EXPORT_DESCRIPTION)
    rows = rows_to_check(folder, description, data, reading or {})
    texts = None
    if options.to == "openvino" and options.precision == "int8":
        texts = calibration_texts(folder, description, calibration, set(rows.texts), reading or {})
    with progress.step(f"Load and merge '{source}'"):
        classifier = load_saved(folder, base=base)
        merged = classifier.merged()
    with written_whole(target, overwrite, mark=EXPORT_DESCRIPTION) as work:
        with progress.step(f"Write {options.format.title} in {options.precision}"), quiet():
            script = write_companions(classifier, merged, options, work)
            _write_model(classifier, merged, options, texts, work)
        size = sum((work / name).stat().st_size for name in options.format.model)
        progress.say(f"{size / 1e6:.1f} MB" + (f", calibrated on {texts.note}" if texts else ""))
        del merged
        with progress.step(f"Check it in a fresh process on {counted(len(rows), 'row')}"):
            agreement = _checked(classifier, rows, options, work, progress)
        write_readme(work, options, source, description, script, _how(agreement, options), agreement.in_words())
        write_description(work, options, source, description, texts.note if texts else "", agreement.figures())
    return Exported(target, options, agreement, size, description.pairs)


def _write_model(
    classifier: TunedClassifier,
    merged: PreTrainedModel,
    options: ExportOptions,
    texts: Calibration | None,
    folder: Path,
) -> None:
    inputs = inputs_of(classifier)
    if options.to == "merged":
        write_merged(merged, folder)
    elif options.to == "onnx":
        write_onnx(captured(merged, inputs, advice=_WITHOUT_GRAPH), folder, inputs)
        if options.precision == "int8":
            quantize_onnx(folder)
    else:
        with without_telemetry():
            program = captured(merged, inputs, advice=_WITHOUT_GRAPH)
            model = converted(program, merged.config.model_type, inputs, advice=_WITHOUT_OPENVINO)
            if texts is not None:  # of a long text, what one window holds
                model = quantized(model, encode(classifier.tokenizer, texts.texts, classifier.max_length))
            write_openvino(model, folder)


def _checked(
    classifier: TunedClassifier, rows: Split, options: ExportOptions, folder: Path, progress: Progress
) -> Agreement:
    """Compare an export with the original, and refuse it if it differs too much."""
    with Predictor(classifier, precision="fp32") as predictor:
        before = predictor.logits(rows.texts, progress=progress)
    lengths = encode(classifier.tokenizer, rows.texts, classifier.max_length, classifier.windows).lengths
    found = compared(rows, before, fresh_logits(folder, rows.texts, np.asarray(lengths)), options)
    for name, value in found.in_words().items():
        progress.say(f"{name}: {value}")
    found.refuse(options)
    progress.say(found.sentence)
    return found


def _how(found: Agreement, options: ExportOptions) -> str:
    """Return how the export was checked, for its README."""
    rule = (
        f"at least {100 * LEAST_AGREEMENT:g} % of the labels must be the same, and logits differ by rounding only"
        if options.precision == "fp32"
        else f"{found.right} may fall by {in_points(options.margin)} at most"
    )
    return (
        f"`run.py` labelled {counted(found.rows, 'row')} in a fresh process without emotune, beside the original in fp32. "
        f"In {options.precision} {rule}."
    )


def _local(*sources: str | Path | None) -> Sequence[Path]:
    """Return the sources that are files or folders of this machine, which the output must not replace."""
    return [Path(source) for source in sources if source is not None and Path(source).expanduser().exists()]
