"""Private interfaces of PyTorch: its attention kernel for texts of different lengths, and its probes of the processor.

Both may change with any version. So callers try the kernel before they use it, and a missing probe counts as False.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

CHECKED = "torch>=2.9,<3"


def flash_attention_forward(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    query_ends: torch.Tensor,
    key_ends: torch.Tensor,
    longest_query: int,
    longest_key: int,
) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Attend within each text of a packed batch, without dropout and without a causal mask.

    Args:
        query: (Q, H, d), all texts concatenated.
        key: (T, H, d), all texts concatenated.
        value: (T, H, d), all texts concatenated.
        query_ends: (texts + 1,), int32: 0, and the end of each text's queries.
        key_ends: (texts + 1,), int32: 0, and the end of each text's keys.
        longest_query: Number of queries of the longest text.
        longest_key: Number of keys of the longest text.

    Returns:
        The output (Q, H, d), its log-sum-exp, and the random state of dropout, which the backward pass needs.
    """
    import torch

    out, logsumexp, *random_state, _ = torch.ops.aten._flash_attention_forward(
        query, key, value, query_ends, key_ends, longest_query, longest_key, 0.0, False, False
    )
    return out, logsumexp, (random_state[0], random_state[1])


def flash_attention_backward(
    gradient: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    out: torch.Tensor,
    logsumexp: torch.Tensor,
    query_ends: torch.Tensor,
    key_ends: torch.Tensor,
    longest_query: int,
    longest_key: int,
    random_state: tuple[torch.Tensor, torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the gradients of query, key and value from that of the output; see `flash_attention_forward`."""
    import torch

    d_query, d_key, d_value = torch.ops.aten._flash_attention_backward(
        gradient,
        query,
        key,
        value,
        out,
        logsumexp,
        query_ends,
        key_ends,
        longest_query,
        longest_key,
        0.0,
        False,
        *random_state,
    )
    return d_query, d_key, d_value


def cpu_multiplies_bf16() -> bool:
    """Return whether the processor has instructions for bfloat16 products, AVX512-BF16 or AMX."""
    import torch

    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)
