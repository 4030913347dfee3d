"""The form of Hub ids."""

from __future__ import annotations

import re

_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)


def is_hub_id(name: str, *, with_owner: bool = False) -> bool:
    """Return whether a name has the form of a Hub id: "bert-base-uncased" or "owner/name".

    Args:
        name: The name.
        with_owner: True to require an owner; few ids have none.
    """
    return _HUB_ID.fullmatch(name) is not None and (not with_owner or "/" in name)
