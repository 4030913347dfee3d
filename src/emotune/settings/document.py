"""A configuration as documented TOML: every setting with its help above it.

`python -m emotune.settings.document` writes `presets/emotion.toml` in this form.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import tomli_w

from emotune.settings.keys import setting_help
from emotune.settings.run import RunConfig

_WIDTH = 100
_EMOTION = "Six emotions in English tweets with BERT-base: the defaults of `emotune run`. Needs the Hub."


def documented_toml(config: RunConfig, purpose: str) -> str:
    """Return a configuration as TOML for reading and editing; settings without a value are comments.

    Args:
        config: The configuration.
        purpose: Its purpose, one sentence.
    """
    lines = [f"# {purpose}", "# Made by python -m emotune.settings.document from the defaults."]
    for section, values in config.model_dump(mode="json").items():
        lines += ["", f"[{section}]"]
        for name, value in values.items():
            text, _ = setting_help(RunConfig, f"{section}.{name}")
            lines += textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
            lines.append(f"# {name} is not set" if value is None else tomli_w.dumps({name: value}).strip())
    return "\n".join(lines) + "\n"


def emotion_preset() -> str:
    """Return the preset `emotion`: the defaults."""
    return documented_toml(RunConfig(), _EMOTION)


if __name__ == "__main__":
    Path(__file__).with_name("presets").joinpath("emotion.toml").write_text(emotion_preset(), encoding="utf-8")
