"""One model sharded over processes while it trains: FSDP2, torch's `fully_shard` (Zhao et al. 2023, arXiv 2304.11277).

Each process keeps 1/N of the weights, gradients and optimizer state (16 bytes a weight together) and gathers a layer when
it is needed. The rest of a stage works with a plain model, whole in every process's main memory: `shard` takes the weights
from it, and `gather_into` writes them back.

accelerate's wrapper of `fully_shard` shards on accelerators alone. torch's own function also runs on CPUs, so tests with
two processes run what a cluster runs. accelerate starts and joins the processes; its configuration says whether to shard.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def copy_for_sharding(model: nn.Module) -> Any:
    """A copy whose parameters share memory with those of `model`: no process holds the weights twice."""
    weights: dict[int, Any] = {id(p): nn.Parameter(p.data, p.requires_grad) for p in model.parameters()}
    return copy.deepcopy(model, weights)


def shard(model: nn.Module, layers: Iterable[nn.Module], device: torch.device) -> Any:
    """Shard `model` in place over all processes, starting from the first one's weights: each layer by itself, the rest (a
    tied embedding, the output matrix, a head) together."""
    from accelerate.utils import broadcast

    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.data.copy_(broadcast(tensor.data.to(device)))
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    reshard = os.environ.get("FSDP_RESHARD_AFTER_FORWARD", "true").lower() != "false"
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=reshard)
    return fully_shard(model, mesh=mesh)


@torch.no_grad()
def gather_into(sharded: nn.Module, plain: nn.Module) -> None:
    """Copy the trained weights of a sharded model into the plain one. Collective: every process must call it."""
    for source, target in zip(sharded.parameters(), plain.parameters(), strict=True):
        if source.requires_grad:
            copy_whole(source, target)


@torch.no_grad()
def copy_whole(source: torch.Tensor, target: torch.Tensor) -> None:
    """Copy a tensor, gathered if it is sharded. Collective: every process must call it."""
    target.copy_(full_tensor(source))


def full_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """The whole tensor, gathered if it is sharded. Collective: every process must call it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shard_like(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A whole tensor, the same on every process, sharded as `like` is; unchanged where `like` is not sharded."""
    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
