"""Tiny models of every family that emotune knows, with random weights, and a tokenizer as each family has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import BertTokenizer, PreTrainedConfig

HIDDEN, INNER, LAYERS, POSITIONS = 16, 24, 2, 40
# What the tiny models share, under each family's own names.
_BERT = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": INNER,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.1,  # wide enough that random features tell words apart
}
# As the published DeBERTa checkpoints have it.
_RELATIVE = {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "position_biased_input": False,
    "type_vocab_size": 0,
    "pooler_hidden_size": HIDDEN,
}
_PADDED_BY_1 = {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3, "type_vocab_size": 1}
CONFIGS: dict[str, dict[str, Any]] = {
    "albert": _BERT | {"embedding_size": 8},
    "bert": _BERT,
    "camembert": _BERT | _PADDED_BY_1,
    "deberta": _BERT | _RELATIVE,
    "deberta-v2": _BERT
    | _RELATIVE
    | {"position_buckets": 8, "share_att_key": True, "norm_rel_ebd": "layer_norm", "max_relative_positions": -1},
    "distilbert": {
        "dim": HIDDEN,
        "n_layers": LAYERS,
        "n_heads": 2,
        "hidden_dim": INNER,
        "max_position_embeddings": POSITIONS,
        "initializer_range": 0.1,
    },
    "electra": _BERT | {"embedding_size": 8},
    "gpt2": {
        "n_embd": HIDDEN,
        "n_layer": LAYERS,
        "n_head": 2,
        "n_inner": INNER,
        "n_positions": POSITIONS,
        "initializer_range": 0.1,
        "bos_token_id": 3,
        "eos_token_id": 3,
        "pad_token_id": None,
    },
    "modernbert": _BERT | {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3},
    "mpnet": _BERT | _PADDED_BY_1,
    "roberta": _BERT | _PADDED_BY_1,
    "xlm-roberta": _BERT | _PADDED_BY_1,
}
PADDED_BY_1 = tuple(family for family, config in CONFIGS.items() if config.get("pad_token_id") == 1)


def make_config(family: str, vocabulary: int, **changes: Any) -> PreTrainedConfig:
    """The configuration of a tiny model."""
    from transformers import AutoConfig

    return AutoConfig.for_model(family, **{"vocab_size": vocabulary, "pad_token_id": 0} | CONFIGS[family] | changes)


def make_folder(family: str, folder: Path, tokenizer: BertTokenizer, **changes: Any) -> Path:
    """Save a tiny model without a head.

    Args:
        family: The model's type.
        folder: Where to.
        tokenizer: Its vocabulary is used.
        changes: Settings that differ from the usual ones.
    """
    import torch
    from transformers import AutoModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModel.from_config(make_config(family, len(tokenizer), **changes)).save_pretrained(folder)
    make_tokenizer(family, tokenizer).save_pretrained(folder)
    return folder


def make_tokenizer(family: str, tokenizer: BertTokenizer) -> Any:
    """A tokenizer as the family has it: padding is token 0 or 1, and GPT-2 has words only and no padding."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertTokenizer, PreTrainedTokenizerFast

    vocabulary = dict(tokenizer.get_vocab())
    if family == "gpt2":
        words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        return PreTrainedTokenizerFast(tokenizer_object=words, eos_token="[SEP]", padding_side="left")
    if family in PADDED_BY_1:
        vocabulary["[PAD]"], vocabulary["[UNK]"] = vocabulary["[UNK]"], vocabulary["[PAD]"]
        return BertTokenizer(vocab=vocabulary, model_max_length=64)
    return tokenizer


# What the SentencePiece models of the tests are trained on.
LINES = (
    "I can't stop smiling today, and nobody knows why.",
    "Nobody came to the party, not even my brother.",
    "They charged me twice and then put me on hold for an hour!",
    "We walked by the sea until the lamps were lit.",
    "She was so angry that she forgot her keys.",
    "What a lovely surprise to see you here again.",
    "He is afraid of the dark and of thunder.",
    "I miss the way you laughed at my jokes.",
    "Le café près de l'église est fermé aujourd'hui.",
    "Je suis très contente de te revoir, mon ami.",
    "Il a peur du noir et des orages d'été.",
    "Ich freue mich sehr, dich wiederzusehen.",
)
# The file that each family publishes its SentencePiece model in, and how the model is trained.
SENTENCEPIECE: dict[str, tuple[str, dict[str, Any]]] = {
    "albert": (
        "spiece.model",
        {
            "pad_id": 0,
            "unk_id": 1,
            "bos_id": -1,
            "eos_id": -1,
            "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
        },
    ),
    "camembert": ("sentencepiece.bpe.model", {}),
    "deberta-v2": (
        "spm.model",
        {
            "pad_id": 0,
            "pad_piece": "[PAD]",
            "bos_id": 1,
            "bos_piece": "[CLS]",
            "eos_id": 2,
            "eos_piece": "[SEP]",
            "unk_id": 3,
            "unk_piece": "[UNK]",
        },
    ),
    "xlm-roberta": ("sentencepiece.bpe.model", {}),
}


def train_sentencepiece(family: str, **changes: Any) -> bytes:
    """A tiny SentencePiece model with the special pieces that a family's published models have."""
    import io

    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES * 3),
        model_writer=written,
        vocab_size=150,
        hard_vocab_limit=False,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
        **SENTENCEPIECE[family][1] | changes,
    )
    return written.getvalue()


def make_sentencepiece_folder(family: str, folder: Path, **changes: Any) -> Path:
    """Save a tiny model without a head, and its tokenizer as a SentencePiece model alone, as the families are published."""
    import json

    import torch
    from transformers import AutoModel

    special = {"bos_token_id": 0, "eos_token_id": 2} if family in PADDED_BY_1 else {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModel.from_config(make_config(family, 160, **special)).save_pretrained(folder)
    (folder / SENTENCEPIECE[family][0]).write_bytes(train_sentencepiece(family, **changes))
    if family == "deberta-v2":
        settings = {"do_lower_case": False, "vocab_type": "spm"}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder
