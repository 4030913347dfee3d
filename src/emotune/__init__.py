"""emotune: fine-tune BERT-family text classifiers with LoRA, and know what it bought you.

Public names are imported lazily, so `import emotune` takes milliseconds: the first call that needs torch and
transformers imports them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from emotune.methods import MODULES
from emotune.system.version import __version__

_HOMES = {
    "Classifier": "emotune.models.classifier",
    "Comparison": "emotune.evaluation.comparison",
    "EmotuneError": "emotune.system.errors",
    "Evaluation": "emotune.evaluation.scores",
    "Predictor": "emotune.inference.predictor",
    "RunConfig": "emotune.settings.run",
    "Split": "emotune.data.dataset",
    "TextDataset": "emotune.data.dataset",
    "TrainingOptions": "emotune.training.options",
    "TunedClassifier": "emotune.folder.tuned",
    "compare": "emotune.evaluation.compare",
    "cross_validate": "emotune.cross_validation",
    "evaluate": "emotune.evaluation.evaluate",
    "export": "emotune.exports.export",
    "finetune": "emotune.training.finetune",
    "load": "emotune.folder.load",
    "load_base": "emotune.folder.base",
    "load_data": "emotune.data.load",
    "load_many": "emotune.folder.many",
    "predict": "emotune.inference.predict",
    "predict_stream": "emotune.inference.predict",
    "push": "emotune.publish.push",
    "run": "emotune.pipeline",
    "verify": "emotune.folder.verify",
    **{name: f"emotune.methods.{module}" for name, module in MODULES.items()},
}

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604  # the names above, and nothing else

if TYPE_CHECKING:
    from emotune.cross_validation import cross_validate as cross_validate
    from emotune.data.dataset import Split as Split
    from emotune.data.dataset import TextDataset as TextDataset
    from emotune.data.load import load_data as load_data
    from emotune.evaluation.compare import compare as compare
    from emotune.evaluation.comparison import Comparison as Comparison
    from emotune.evaluation.evaluate import evaluate as evaluate
    from emotune.evaluation.scores import Evaluation as Evaluation
    from emotune.exports.export import export as export
    from emotune.folder.base import load_base as load_base
    from emotune.folder.load import load as load
    from emotune.folder.many import load_many as load_many
    from emotune.folder.tuned import TunedClassifier as TunedClassifier
    from emotune.folder.verify import verify as verify
    from emotune.inference.predict import predict as predict
    from emotune.inference.predict import predict_stream as predict_stream
    from emotune.inference.predictor import Predictor as Predictor
    from emotune.methods.adalora import AdaLoRA as AdaLoRA
    from emotune.methods.bitfit import BitFit as BitFit
    from emotune.methods.bottleneck import Bottleneck as Bottleneck
    from emotune.methods.full import FullFineTuning as FullFineTuning
    from emotune.methods.head import HeadOnly as HeadOnly
    from emotune.methods.ia3 import IA3 as IA3
    from emotune.methods.lora import LoRA as LoRA
    from emotune.methods.lora_variants import DoRA as DoRA
    from emotune.methods.lora_variants import LoRAPlus as LoRAPlus
    from emotune.methods.lora_variants import PiSSA as PiSSA
    from emotune.methods.prompts import PrefixTuning as PrefixTuning
    from emotune.methods.prompts import PromptTuning as PromptTuning
    from emotune.methods.qlora import QLoRA as QLoRA
    from emotune.methods.vera import VeRA as VeRA
    from emotune.models.classifier import Classifier as Classifier
    from emotune.pipeline import run as run
    from emotune.publish.push import push as push
    from emotune.settings.run import RunConfig as RunConfig
    from emotune.system.errors import EmotuneError as EmotuneError
    from emotune.training.finetune import finetune as finetune
    from emotune.training.options import TrainingOptions as TrainingOptions


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'emotune' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
