"""The formats of exports in one table: their files, the libraries that write and run them, and their precisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from emotune.system.errors import ConfigError, EmotuneError
from emotune.system.extras import require
from emotune.system.options import Options

Target = Literal["merged", "onnx", "openvino"]
Width = Literal["fp32", "int8"]


@dataclass(frozen=True)
class Format:
    """A format of exports.

    Attributes:
        title: Its name in messages and documents.
        model: Names of the model's files.
        extra: The extra of emotune that writes it; "" for none.
        writes: Top-level modules that write it in any precision.
        quantizes: Further top-level modules that write it in int8.
        runs: Packages that run it, for the description and the README.
        needs_tokenizer_json: True if its script reads tokenizer.json without transformers.
        precisions: Precisions that it is written in.
    """

    title: str
    model: tuple[str, ...]
    extra: str
    writes: tuple[str, ...]
    quantizes: tuple[str, ...]
    runs: tuple[str, ...]
    needs_tokenizer_json: bool
    precisions: tuple[str, ...]


FORMATS: dict[str, Format] = {
    "merged": Format(
        title="merged safetensors",
        model=("model.safetensors",),
        extra="",
        writes=(),
        quantizes=(),
        runs=("torch", "transformers"),
        needs_tokenizer_json=False,
        precisions=("fp32",),
    ),
    "onnx": Format(
        title="ONNX",
        model=("model.onnx",),
        extra="export",
        writes=("onnx", "onnxruntime", "onnxscript"),
        quantizes=(),
        runs=("numpy", "onnxruntime", "tokenizers"),
        needs_tokenizer_json=True,
        precisions=("fp32", "int8"),
    ),
    "openvino": Format(
        title="OpenVINO",
        model=("openvino_model.xml", "openvino_model.bin"),
        extra="openvino",
        writes=("openvino",),
        quantizes=("nncf",),
        runs=("numpy", "openvino", "tokenizers"),
        needs_tokenizer_json=True,
        precisions=("fp32", "int8"),
    ),
}


class ExportOptions(Options):
    """What to export to, and how much worse it may be."""

    error: ClassVar[type[EmotuneError]] = ConfigError

    to: Target = Field(description="Format: merged, onnx or openvino.")
    precision: Width = Field(default="fp32", description="Arithmetic of the matrix products: fp32 or int8.")
    margin: Annotated[
        float,
        Field(gt=0, lt=100, description="Points of accuracy that an export in int8 may lose on the checked rows."),
    ] = 0.5

    @classmethod
    def noun(cls) -> str:
        """Return the name of these options in messages."""
        return "export"

    @model_validator(mode="after")
    def _written_in(self) -> Self:
        offered = self.format.precisions
        if self.precision not in offered:
            others = [name for name, found in FORMATS.items() if self.precision in found.precisions]
            raise ValueError(
                f"{self.to} is written in {' or '.join(offered)} only; {self.precision} needs {' or '.join(others)}"
            )
        return self

    @property
    def format(self) -> Format:
        """The format."""
        return FORMATS[self.to]

    @property
    def name(self) -> str:
        """Name of the export beside its source: "onnx", "openvino_int8"."""
        return self.to if self.precision == "fp32" else f"{self.to}_{self.precision}"

    def check_installed(self) -> None:
        """Refuse a format whose libraries are not installed.

        Raises:
            ConfigError: One is missing; the message has the line that installs it.
        """
        needed = (*self.format.writes, *(self.format.quantizes if self.precision == "int8" else ()))
        require(self.format.extra, needed, f"emotune export --to {self.to} --precision {self.precision}")
