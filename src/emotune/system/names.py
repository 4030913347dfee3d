"""What a name can be: an id of the Hub, or nothing that the Hub has."""

from __future__ import annotations

import re

_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)


def is_hub_id(name: str, *, with_owner: bool = False) -> bool:
    """Return whether a name has the form of an id of the Hub: "bert-base-uncased" or "owner/name".

    Args:
        name: The name.
        with_owner: Whether the form without an owner, which few ids have, will not do.
    """
    return _HUB_ID.fullmatch(name) is not None and (not with_owner or "/" in name)
