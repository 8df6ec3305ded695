"""One model spread over processes while it trains: FSDP2, `fully_shard` of torch (Zhao et al. 2023, arXiv 2304.11277).

Each process keeps 1/N of the weights, of their gradients and of the optimizer's state (16 bytes a weight together) and
gathers a layer when it is needed. What the rest of a stage works with stays a plain model, whole in every process's main
memory: `shard` takes the weights from it, and `gather_into` writes them back.

torch's own function and not accelerate's wrapper of it, which shards on accelerators alone: so what runs on a cluster is
what the tests run, with two processes on CPUs. accelerate starts the processes, joins them and says whether to shard.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


def copy_for_sharding(model: nn.Module) -> nn.Module:
    """A copy to spread, which reads the very weights of `model`: spreading takes its own part of each, and a process need
    not hold them twice."""
    from torch import nn

    weights = {id(p): nn.Parameter(p.data, p.requires_grad) for p in model.parameters()}
    return copy.deepcopy(model, weights)


def shard(model: nn.Module, layers: Iterable[nn.Module], device: torch.device) -> nn.Module:
    """Shard `model` in place over all processes, starting from the first one's weights: each layer apart, the rest (a
    tied embedding, the output matrix, a head) together."""
    from accelerate.utils import broadcast
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.data.copy_(broadcast(tensor.data.to(device)))
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    reshard = os.environ.get("FSDP_RESHARD_AFTER_FORWARD", "true").lower() != "false"
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=reshard)
    return fully_shard(model, mesh=mesh)


def gather_into(model: nn.Module, into: nn.Module) -> None:
    """Copy what a spread model has learnt into the plain one of the same shape. Every process must call it."""
    import torch

    with torch.no_grad():
        for own, plain in zip(model.parameters(), into.parameters(), strict=True):
            if own.requires_grad:
                plain.copy_(full_tensor(own))


def full_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, gathered if it is spread; every process must ask."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def shard_like(tensor: torch.Tensor, like: Any) -> torch.Tensor:
    """A whole tensor, which every process has, spread as `like` is; as it is when `like` is not."""
    if not hasattr(like, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    tensor = tensor.to(like.device)
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)
