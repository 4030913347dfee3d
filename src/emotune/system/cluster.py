"""Connection to a Ray cluster: the one that RAY_ADDRESS names, or one that is started on this machine for the job."""

from __future__ import annotations

import os
from typing import Any

from emotune.system.errors import ConfigError
from emotune.system.text import reason_of


def connect(*, store_bytes: int | None = None) -> tuple[Any, str]:
    """Connect this process to a cluster.

    Args:
        store_bytes: Memory for objects of a cluster that is started here; Ray's default is a third of the memory.

    Returns:
        The module `ray`, connected, and a name of the cluster for messages. `ray.shutdown()` disconnects, and ends a
        cluster that was started here.

    Raises:
        ConfigError: The cluster cannot be reached.
    """
    # Send no usage statistics to Ray's makers unless the environment asks for it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Without its own GPUs a task keeps seeing those of its machine, which is the default of later versions of Ray.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    address = os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"address": address} if address else {"address": "local", "include_dashboard": False}
    if not address and store_bytes is not None:
        options["object_store_memory"] = store_bytes
    try:
        ray.init(**options, log_to_driver=False, logging_level="error", configure_logging=False)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        where = f"The Ray cluster at '{address}' (RAY_ADDRESS)" if address else "A Ray cluster on this machine"
        raise ConfigError(f"{where} cannot be used: {reason_of(error)}.") from None
    machines = sum(bool(node["Alive"]) for node in ray.nodes())
    return ray, f"the Ray cluster of {machines} machines" if address else "a Ray cluster on this machine"
