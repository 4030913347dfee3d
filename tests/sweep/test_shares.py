"""What a trial asks a Ray cluster for: the largest share of which there is one for each. Needs no Ray."""

from __future__ import annotations

import pytest

from emotune.sweep.ray_engine import at_a_time, share_of


@pytest.mark.parametrize(
    ("machines", "workers", "processors", "gpus"),
    [
        ([{"CPU": 8}], 1, 8, 0),
        ([{"CPU": 8}], 3, 2, 0),
        ([{"CPU": 2}], 5, 1, 0),
        ([{"CPU": 4}, {"CPU": 4}], 2, 4, 0),
        ([{"CPU": 4}, {"CPU": 4}], 1, 4, 0),  # eight would be more than either has, and no trial would ever start
        ([{"CPU": 2}, {"CPU": 8}, {}], 2, 4, 0),
        ([{"CPU": 4}, {"CPU": 12}], 2, 6, 0),
        ([{"CPU": 4}] * 3, 4, 2, 0),
        ([{"CPU": 2, "GPU": 1}], 3, 1, 0.5),  # two at a time, each with half of it
        ([{"CPU": 16, "GPU": 4}], 2, 8, 2),
        ([{"CPU": 16, "GPU": 3}], 2, 8, 1),  # Ray gives out whole GPUs or parts of one
        ([{"CPU": 16, "GPU": 1}], 4, 4, 0.25),
        ([{"CPU": 4, "GPU": 1}, {"CPU": 4, "GPU": 1}], 1, 4, 1),
    ],
)
def test_share(machines: list[dict[str, float]], workers: int, processors: int, gpus: float) -> None:
    shares = share_of(machines, workers)
    assert shares == {"num_cpus": processors, "num_gpus": gpus}
    everything = sum(int(machine.get("CPU", 0)) for machine in machines)
    assert at_a_time(machines, shares) >= min(workers, everything)
