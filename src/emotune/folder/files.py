"""Names of the files of a saved folder: no others are pushed to the Hub or fetched from it."""

from __future__ import annotations

from emotune.folder.fingerprints import FINGERPRINTS
from emotune.folder.format import KEPT, PREDICTIONS
from emotune.methods.registry import METHODS
from emotune.models.folder import CONFIG, TOKENIZER_FILES
from emotune.system.output import DESCRIPTION

CARD = "README.md"
REPORT = "report.html"
PICTURES = ("confusion_matrix.png", "training_curve.png")
WEIGHTS = tuple(dict.fromkeys(name for method in METHODS.values() for name in method.files))
"""Files that methods save: weights as safetensors, and PEFT's configuration of them."""

WITH_TEXTS = (PREDICTIONS, KEPT, REPORT)
"""Files with texts of the data."""

OF_TEXTS = (FINGERPRINTS,)
"""Files that hold no text, but tell whoever has a text whether it was trained on."""

KNOWN_FILES = (DESCRIPTION, CONFIG, *WEIGHTS, *TOKENIZER_FILES, CARD, *PICTURES, *WITH_TEXTS, *OF_TEXTS)
"""Every file that emotune writes into a saved folder."""
