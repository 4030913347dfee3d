"""Emotune's own texts, whose logits are saved, so that any folder can be verified without its data."""

from __future__ import annotations

PROBES = (
    "I can't stop smiling today.",
    "nobody came, not even my brother",
    "I have missed your voice more than I can say, come home soon.",
    "They charged me twice and then put me on hold for an hour!",
    "something is scratching at the back door and I am alone in the house",
    "Wait, you two are married? Since when?",
    "ok",
    "It isn't that I mind the rain, the long walk or the broken umbrella; it is that you promised, and I believed you.",
)
