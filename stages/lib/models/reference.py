"""The reference model of preference optimisation: fixed, or following the policy (TR-DPO, arXiv 2404.09656, section 3).

After every tau-th optimizer step, never before the first,
    reference <- alpha policy + (1 - alpha) reference
alpha = 1 is the paper's hard update, alpha < 1 its soft one; the paper does not say whether soft updates come at every
step or at every tau-th, so both numbers are the user's. Parameters are paired by name, buffers are copied. Everything here
is float32 whatever the policy computes in: bfloat16 would round small updates away.

With LoRA the policy's frozen weights serve the reference, too, which has adapters of its own. A mixture of the products
B A is not the product of mixed factors, so every update has its own adapter: copied in with the weight alpha, while the
earlier ones shrink by 1 - alpha. Their sum is the mixture of the merged weights, exactly.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from stages.lib.models.batch import Batch


class Reference(nn.Module):
    """Base class. alpha: the policy's share in an update, in (0, 1]. tau: optimizer steps between updates, 0: none."""

    def __init__(self, alpha: float, tau: int):
        super().__init__()
        self.alpha, self.tau = alpha, tau

    def compute(self, policy: Any, batch: Batch, function: Callable[[Any, Batch], torch.Tensor]) -> torch.Tensor:
        """`function(model, batch)` of the reference, without gradients."""
        raise NotImplementedError

    def update(self, policy: Any, step: int) -> None:
        """Follow the policy, if an update is due after optimizer step number `step` (from 1)."""
        if self.tau and step % self.tau == 0:
            self._follow(policy, step // self.tau - 1)

    def list_tensors(self, policy: Any) -> dict[str, torch.Tensor]:
        """What updates change, by name; nothing where there are none."""
        return self._list_tensors(policy) if self.tau else {}

    def list_models(self) -> list[Any]:
        """Models of its own, to be sharded beside the policy."""
        return []

    def _follow(self, policy: Any, index: int) -> None:
        raise NotImplementedError

    def _list_tensors(self, policy: Any) -> dict[str, torch.Tensor]:
        raise NotImplementedError


class FullReference(Reference):
    """A copy of the whole policy as it is now."""

    def __init__(self, policy: Any, alpha: float, tau: int):
        super().__init__(alpha, tau)
        self.model = copy.deepcopy(policy).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FullReference:
        """Always in evaluation mode: a reference has no dropout."""
        super().train(mode)
        self.model.eval()
        return self

    @torch.no_grad()
    def compute(self, policy: Any, batch: Batch, function: Callable[[Any, Batch], torch.Tensor]) -> torch.Tensor:
        return function(self.model, batch)

    def list_models(self) -> list[Any]:
        return [self.model]

    @torch.no_grad()
    def _follow(self, policy: Any, index: int) -> None:
        weights, buffers = dict(policy.named_parameters()), dict(policy.named_buffers())
        for name, p in self.model.named_parameters():
            _mix(p, weights[name], self.alpha)
        for name, buffer in self.model.named_buffers():
            buffer.copy_(buffers[name])

    def _list_tensors(self, policy: Any) -> dict[str, torch.Tensor]:
        return dict(self.model.named_parameters())


class AdapterReference(Reference):
    """Adapters in the policy's own layers beside those that are trained; at first none is in use, since a new adapter
    changes nothing. num_updates: how many there will be, each of which needs an adapter; with alpha = 1 one serves all."""

    def __init__(self, policy: Any, alpha: float, tau: int, num_updates: int):
        super().__init__(alpha, tau)
        count = 0 if not tau else min(num_updates, 1) if alpha == 1 else num_updates
        self.trained = policy.active_adapter
        self.names = [f"reference_{i}" for i in range(count)]
        for name in self.names:
            with torch.random.fork_rng(), warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # peft uses an old name of a transformers property
                policy.add_adapter(name, policy.peft_config[self.trained])
        for tensor in self._list_tensors(policy).values():
            tensor.requires_grad_(False).zero_()

    @torch.no_grad()
    def compute(self, policy: Any, batch: Batch, function: Callable[[Any, Batch], torch.Tensor]) -> torch.Tensor:
        with _use_adapters(policy, self.names):
            return function(policy, batch)

    @torch.no_grad()
    def _follow(self, policy: Any, index: int) -> None:
        own = self.names[0 if self.alpha == 1 else index]
        for layer in _list_adapted_layers(policy):
            for name in self.names:
                layer.lora_B[name].weight.mul_(1 - self.alpha)
            layer.lora_A[own].weight.copy_(layer.lora_A[self.trained].weight)
            layer.lora_B[own].weight.copy_(layer.lora_B[self.trained].weight).mul_(self.alpha)

    def _list_tensors(self, policy: Any) -> dict[str, torch.Tensor]:
        parts = {f".{part}.{name}." for part in ("lora_A", "lora_B") for name in self.names}
        return {name: p for name, p in policy.named_parameters() if any(part in name for part in parts)}


def make_reference(policy: Any, alpha: float, tau: int, num_updates: int) -> Reference:
    """The reference of a policy, with or without adapters, as the policy is now. num_updates: in all of the training."""
    if hasattr(policy, "peft_config"):
        return AdapterReference(policy, alpha, tau, num_updates)
    return FullReference(policy, alpha, tau)


def _mix(target: torch.Tensor, source: torch.Tensor, alpha: float) -> None:
    """target <- alpha source + (1 - alpha) target, exact at both ends."""
    target.copy_(source) if alpha == 1 else target.lerp_(source.to(target.dtype), alpha)


def _list_adapted_layers(model: Any) -> Iterator[Any]:
    from peft.tuners.lora import LoraLayer

    return (layer for layer in model.modules() if isinstance(layer, LoraLayer))


@contextmanager
def _use_adapters(model: Any, names: Sequence[str]) -> Iterator[None]:
    """Inside, the model computes with these adapters alone. peft's own `set_adapter` would also make them trainable, and
    its `disable_adapter` what is trained untrainable, which sharded and replicated models do not survive."""
    layers = list(_list_adapted_layers(model))
    before = [layer._active_adapter for layer in layers]
    for layer in layers:
        layer._active_adapter = list(names)
    try:
        yield
    finally:
        for layer, active in zip(layers, before, strict=True):
            layer._active_adapter = active
