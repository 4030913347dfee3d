"""Random parameters that a checkpoint lacks, such as a new head; redrawn from any seed without reloading weights."""

from __future__ import annotations

import copy
from dataclasses import replace

from emotune.models.classifier import Classifier


def set_seeds(seed: int) -> None:
    """Set the global random generators of Python, NumPy and PyTorch.

    The function of transformers for this imports its whole trainer.
    """
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def with_head_of(classifier: Classifier, seed: int) -> Classifier:
    """Return a classifier whose new parameters are drawn from a seed, as loading it would have drawn them.

    The encoder's parameters are those of the given classifier, not copies; the new parameters are copies. The global
    random generators are set to the seed.

    Args:
        classifier: A base model; one without new parameters is returned unchanged.
        seed: The seed.
    """
    from emotune.system.internals.transformers import draw_again

    if not classifier.new_parameters:
        return classifier
    new = set(classifier.new_parameters)
    shared = {id(weight): weight for name, weight in classifier.model.named_parameters() if name not in new}
    model = copy.deepcopy(classifier.model, shared)
    set_seeds(seed)
    draw_again(model, new)
    return replace(classifier, model=model)
