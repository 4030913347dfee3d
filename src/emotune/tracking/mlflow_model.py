"""The model that MLflow stores: a script, run by `mlflow.pyfunc.load_model`, that loads the saved folder beside it.

MLflow calls this a model from code. Nothing is pickled.
"""

from __future__ import annotations

from typing import Any

import mlflow
import pandas as pd
from mlflow.models import set_model

from emotune.folder.load import load_saved
from emotune.inference.predictor import Predictor


class EmotuneModel(mlflow.pyfunc.PythonModel):
    """Predicts labels of texts with a folder that emotune saved."""

    def load_context(self, context: Any) -> None:
        """Load the classifier, with its base model if that was stored too."""
        classifier = load_saved(context.artifacts["folder"], base=context.artifacts.get("base"))
        # The arithmetic of `evaluate`, so that the labels are those of predictions.parquet on every machine.
        self._predictor = Predictor(classifier, precision="fp32")

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return a label and its probability per text.

        Args:
            context: Unused.
            model_input: Its column `text` has the texts.
            params: Unused.
        """
        found = self._predictor.predict([str(text) for text in model_input["text"]])
        columns = [found.label_names.index(label) for label in found.labels]
        probabilities = found.probabilities[range(len(columns)), columns]
        return pd.DataFrame({"label": list(found.labels), "probability": probabilities}, index=model_input.index)


set_model(EmotuneModel())
