"""The training loop of every model here: base, generator, verifiers. Built on accelerate.

A step takes `global_batch_size` examples in micro-batches of `device_batch_size`, which the processes take in turn. Losses
are divided by the weight of the whole step's targets, so one process, several, or more accumulation compute the same
gradient up to rounding, whether each process holds the model or all share it (FSDP2, fsdp.py). Order and dropout are keyed
by (seed, stage, epoch or step), so a resumed run needs no generator state: killed at any instant and run again, it ends on
CPU with the same bytes.

What is minimised is an `Objective` (lib/models/objectives.py): the loop knows its losses only by name.
"""

from __future__ import annotations

import csv
import io
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import nn

from stages.lib.core import heap, seeds
from stages.lib.core.errors import UserError
from stages.lib.models import forward, loading
from stages.lib.models.objectives import Objective
from stages.lib.run import distributed, launcher
from stages.lib.run.execution import StageRun
from stages.lib.training import checkpoints, data_loader, fsdp
from stages.lib.training.muon import Muon
from stages.lib.training.training_params import TrainingParams


@dataclass
class History:
    """One row of numbers a step; saved with every checkpoint, written to history.csv at the end."""

    rows: list[dict[str, float]] = field(default_factory=list)

    def to_csv(self) -> str:
        names = {name for row in self.rows for name in row} - {"step", "epoch"}
        text = io.StringIO()
        writer = csv.DictWriter(text, ["step", "epoch", *sorted(names)], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in self.rows)
        return text.getvalue()


def train(
    run: StageRun[Any],
    objective: Objective,
    examples: Sequence[Any],
    params: TrainingParams,
    dropout: float = 0.0,
    on_epoch: Callable[[int, Any], dict[str, float]] | None = None,
) -> History:
    """Train `objective` in place; afterwards every process holds all of it.

    dropout: rate on what each layer adds to the residual stream. on_epoch(epoch, objective) may evaluate and keep a copy;
    its numbers join the history. Raises UserError when the batch sizes or the processes do not fit together, without
    examples, and when the loss is not finite.
    """
    trainer = Trainer(run, objective, examples, params, dropout)
    plan = _plan_steps(run, [objective.count_tokens(example) for example in examples], params)
    first_step = trainer.resume()
    tokens, start = 0, time.monotonic()
    for step in run.track_progress(range(first_step, len(plan)), len(plan) - first_step, "training"):
        epoch, indices, is_epoch_end = plan[step]
        lr_scale = _compute_lr_scale(step, len(plan), params.warmup_ratio)
        row = {"step": step + 1, "epoch": epoch, "lr": params.lr * lr_scale, **trainer.step(step, indices, lr_scale)}
        if not all(abs(value) < float("inf") for value in row.values()):
            raise UserError(f"{run.name}: the loss is not finite at step {step + 1}; lower {run.name}.lr ({params.lr})")
        if is_epoch_end and on_epoch:
            row |= trainer.evaluate(on_epoch, int(epoch))
        trainer.history.rows.append(row)
        tokens += sum(objective.count_tokens(examples[i]) for i in indices)
        numbers = {name: value for name, value in row.items() if name != "step"}
        run.log(step + 1, **numbers, tokens_per_s=tokens / (time.monotonic() - start))
        if (step + 1) % params.checkpoint_steps == 0 or is_epoch_end:
            trainer.save_checkpoint(step + 1)
    weights = loading.count_parameters(objective.model)
    run.count(tokens=tokens, flops=loading.estimate_flops(weights, tokens, training=True))
    trainer.finish()
    return trainer.history


class Trainer:
    """A model prepared for training on this process, its optimizers and its history.

    objective: the plain model, which the caller keeps. trained: the one whose weights are updated, the same object or a
    sharded copy. wrapped: `trained` behind DDP where processes are joined.
    """

    def __init__(
        self, run: StageRun[Any], objective: Objective, examples: Sequence[Any], params: TrainingParams, dropout: float
    ):
        from accelerate import Accelerator
        from accelerate.utils import GradientAccumulationPlugin

        self.run, self.objective, self.examples, self.params = run, objective, examples, params
        self.history = History()
        heap.keep_freed_memory()
        state: Any = distributed.init_processes(run)
        loading.check_bf16_support(state.device, params.precision, f'{run.name}.precision: "no"')
        # Each is said here, or accelerate would take it from the environment.
        self.accelerator = Accelerator(
            mixed_precision=params.precision,
            dynamo_backend="no",
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        )
        self.device: torch.device = self.accelerator.device
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")  # TF32 for the float32 matrix products that autocast leaves
            torch.backends.cuda.enable_cudnn_sdp(False)  # its attention prepares itself anew for every length of a row
        if params.global_batch_size % (params.device_batch_size * run.world_size):
            raise UserError(
                f"{run.name}.global_batch_size: {params.global_batch_size} is not a multiple of device_batch_size "
                f"{params.device_batch_size} x {run.world_size} processes"
            )
        if params.gradient_checkpointing:
            objective.model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        self._dropout_hooks = _add_residual_dropout(objective.model, dropout)
        # Weights that nothing trains are rounded once, instead of by autocast at every use.
        self._rounded = _get_frozen_weights(objective) if params.precision == "bf16" else []
        if params.master == "bfloat16":
            self._rounded = list(objective.model.parameters())  # a head stays in float32
        for p in self._rounded:
            p.data = p.data.bfloat16()
        self.is_sharded = run.world_size > 1 and launcher.fsdp_enabled()
        self.trained: Any = fsdp.copy_for_sharding(objective) if self.is_sharded else objective
        if self.is_sharded:  # `objective` stays in main memory
            layers = [forward.get_decoder(model).layers for model in self.trained.list_models()]
            parts = [*chain.from_iterable(layers), *self._list_heads()]
            self._compile()
            self.wrapped = fsdp.shard(self.trained, parts, self.device)
            self.optimizers = self.prepared = _build_optimizers(self.trained, params)
        else:
            self._compile()
            self.optimizers = _build_optimizers(objective, params)
            self.wrapped, *self.prepared = self.accelerator.prepare(objective, *self.optimizers)

    def save_checkpoint(self, step: int) -> None:
        """Collective: the main process writes, the others give it their shards."""
        tensors = self._list_weights()
        for k, optimizer in enumerate(self.optimizers):
            for i, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{k}.{i}.{name}": torch.as_tensor(value) for name, value in state.items()}
        for name, tensor in tensors.items():
            whole = fsdp.full_tensor(tensor.detach())
            tensors[name] = whole.cpu() if self.run.is_main else whole.new_empty(0)
        if self.run.is_main:
            checkpoints.save(self.run.checkpoint_dir, step, tensors, {"step": step, "history": self.history.rows})

    @torch.no_grad()
    def resume(self) -> int:
        """Continue from the newest checkpoint; without one, write checkpoint 0. Returns the number of steps done."""
        checkpoint = checkpoints.load_latest(self.run.checkpoint_dir)
        if not checkpoint:
            self.save_checkpoint(0)
            return 0
        tensors, facts = checkpoint
        for name, p in self._list_weights().items():
            p.copy_(fsdp.shard_like(tensors[name], p))
        states: list[dict[int, dict[str, torch.Tensor]]] = [defaultdict(dict) for _ in self.optimizers]
        weights = [[p for group in o.param_groups for p in group["params"]] for o in self.optimizers]
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                k, i, key = name.split(".")[1:]
                p = weights[int(k)][int(i)]  # a tensor of another shape is a count of steps
                states[int(k)][int(i)][key] = fsdp.shard_like(tensor, p) if tensor.shape == p.shape else tensor
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict({"state": dict(state), "param_groups": optimizer.state_dict()["param_groups"]})
        self.history.rows = facts["history"]
        return facts["step"]

    def _list_weights(self) -> dict[str, torch.Tensor]:
        """What training changes, optimizers aside, by its name in a checkpoint."""
        trained = {f"model.{name}": p for name, p in self.trained.named_parameters() if p.requires_grad}
        return trained | {f"follower.{name}": tensor for name, tensor in self.trained.list_followers().items()}

    def step(self, step: int, indices: Sequence[int], lr_scale: float) -> dict[str, float]:
        """Update the weights by the examples at `indices`. Returns the gradient's norm and the mean of each loss."""
        self.trained.train()
        for optimizer in self.prepared:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * lr_scale
        weights = self.objective.sum_weights([self.examples[i] for i in indices])
        sums = self._accumulate_gradients(step, indices, weights)
        norm: Any = self.accelerator.clip_grad_norm_(self.trained.parameters(), self.params.max_grad_norm)
        for optimizer in self.prepared:
            optimizer.step()
            optimizer.zero_grad()
        self.trained.finish_step(step + 1)
        # The one wait for a GPU here.
        *totals, norm = torch.cat([sums, fsdp.full_tensor(norm).float().reshape(1)]).tolist()
        is_loss, numbers = self.objective.coefficients, zip(weights.items(), totals, strict=True)
        return {"grad_norm": norm} | {
            f"{name}_loss" if name in is_loss else name: total / weight for (name, weight), total in numbers if weight
        }

    def _accumulate_gradients(self, step: int, indices: Sequence[int], weights: Mapping[str, float]) -> torch.Tensor:
        """Forward and backward passes of this process's micro-batches. Returns (losses,) the sum of each loss."""
        run, size = self.run, self.params.device_batch_size
        micro_batches = [indices[i : i + size] for i in range(0, len(indices), size)]
        sums = torch.zeros(len(weights), device=self.device)
        # Ranks without a micro-batch run a dummy one with weight 0, so that collective operations match.
        rounds = range(run.rank, -(-len(micro_batches) // run.world_size) * run.world_size, run.world_size)
        for i in rounds:
            is_real = float(i < len(micro_batches))
            members = micro_batches[i] if is_real else indices[:1]
            torch.manual_seed(seeds.key(run.seed, run.name, "dropout", step, members[0]) >> 1)
            batch = self.objective.collate([self.examples[j] for j in members]).to(self.device)
            # A sharded model reduces its gradients after every micro-batch: unsharded ones would not fit.
            is_last = i == rounds[-1] or self.is_sharded
            with nullcontext() if is_last else self.accelerator.no_sync(self.wrapped):
                with self.accelerator.autocast():
                    losses = self.wrapped(batch)
                terms = [
                    coefficient * losses[name] / max(weights[name], 1e-9)
                    for name, coefficient in self.objective.coefficients.items()
                ]
                # DDP and FSDP average gradients over processes, but the terms are shares of the step's sum.
                self.accelerator.backward(sum(terms) * (is_real * run.world_size))
            sums += torch.stack([losses[name].detach().float() for name in weights]) * is_real
        reduced: Any = self.accelerator.reduce(sums, "sum")
        return reduced

    def evaluate(self, on_epoch: Callable[[int, Any], dict[str, float]], epoch: int) -> dict[str, float]:
        """`on_epoch` on the plain model, in the precision of training."""
        self._gather()
        self._compile(False)  # sampling reads in other ways than training; each would be compiled anew
        self.objective.eval()
        with forward.autocast(self.objective, self.params.precision):
            numbers = on_epoch(epoch, self.objective)
        self._compile()
        if self.is_sharded:
            self.objective.to("cpu")
        return numbers

    def finish(self) -> None:
        """Leave the plain model trained, in float32, as it came but for its weights, and in evaluation mode."""
        self._gather()
        self._compile(False)
        for hook in self._dropout_hooks:
            hook.remove()
        for p in self._rounded:
            p.data = p.data.float()
        self.objective.eval()
        self.accelerator.wait_for_everyone()

    def _compile(self, on: bool = True) -> None:
        """With `compile: true`, compile each layer, or undo it; all layers have one form, so the compiler works once."""
        for layer in forward.get_decoder(self.trained.model).layers if self.params.compile else ():
            layer._compiled_call_impl = None
            if on:
                layer.compile(dynamic=True)

    def _list_heads(self) -> list[nn.Module]:
        """Parts in another precision than the model, which sharding keeps apart: heads, where the masters are in half."""
        heads = [getattr(self.trained, name, None) for name in ("head", "concentration_head")]
        return [head for head in heads if self.params.master == "bfloat16" and isinstance(head, nn.Linear)]

    def _gather(self) -> None:
        if self.is_sharded:
            fsdp.gather_into(self.trained, self.objective)
            for name, tensor in self.trained.list_followers().items():
                fsdp.copy_whole(tensor, self.objective.list_followers()[name])
            self.objective.to(self.device)


def _get_frozen_weights(objective: Objective) -> list[nn.Parameter]:
    """Weights and biases of the linear layers that nothing changes: nearly all of a model with adapters. The embedding is
    left out, and with it the output matrix, which may be tied to it, so that the residual stream keeps its precision."""
    layers = [layer for layer in forward.get_decoder(objective.model).modules() if isinstance(layer, nn.Linear)]
    followers = {id(tensor) for tensor in objective.list_followers().values()}
    weights = [p for layer in layers for p in layer.parameters(recurse=False)]
    return [p for p in weights if not p.requires_grad and id(p) not in followers]


def count_steps(run: StageRun[Any], examples: int, params: TrainingParams) -> int:
    """Optimizer steps of a training on so many examples."""
    return len(_plan_steps(run, [1] * examples, params))


def _plan_steps(
    run: StageRun[Any], lengths: Sequence[int], params: TrainingParams
) -> list[tuple[float, list[int], bool]]:
    """(epoch, indices of examples, whether an epoch ends here) for every step. A fraction of an epoch ends early."""
    if not lengths:
        raise UserError(f"{run.name}: there are no examples to train on; see data/benchmarks/metrics.json")
    plan: list[tuple[float, list[int], bool]] = []
    epoch = 0
    while epoch < params.epochs:
        rng = seeds.rng(run.seed, run.name, "order", epoch)
        batches = data_loader.make_epoch_batches(lengths, params.global_batch_size, rng)
        if params.epochs - epoch < 1:
            batches = batches[: max(1, round(len(batches) * (params.epochs - epoch)))]
        epoch += 1
        plan += [(epoch, batch, i == len(batches) - 1) for i, batch in enumerate(batches)]
    return plan


def _compute_lr_scale(step: int, steps: int, warmup_ratio: float) -> float:
    """Linear up over the warm-up, then linear down to 0 at the end."""
    warmup_steps = max(1, round(steps * warmup_ratio))
    return min((step + 1) / warmup_steps, (steps - step) / max(1, steps - warmup_steps))


def _build_optimizers(trained: nn.Module, params: TrainingParams) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between hidden layers where it is chosen (Jordan et al. 2024), AdamW for the rest."""
    outer = ("embed", "lm_head", "head.", "wte")
    matrices, rest = [], []
    for name, p in trained.named_parameters():
        if p.requires_grad:
            is_matrix = params.optimizer == "muon" and p.ndim == 2 and not any(word in name for word in outer)
            (matrices if is_matrix else rest).append(p)
    optimizers: list[torch.optim.Optimizer] = []
    if rest:  # none where adapters without a head are trained
        is_fused = all(p.device.type == "cuda" for p in rest)  # one pass over the weights instead of several
        settings: dict[str, Any] = {"weight_decay": params.weight_decay, "fused": is_fused or None}
        optimizers.append(torch.optim.AdamW(rest, lr=params.lr, betas=(0.9, 0.98), **settings))
    if matrices:
        optimizers.append(Muon(matrices, lr=params.matrix_lr, weight_decay=params.weight_decay))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return optimizers


def _add_residual_dropout(model: Any, rate: float) -> list[Any]:
    """Dropout on what each layer adds to the residual stream, for any decoder (Cobbe et al. 2021, section 4.3)."""
    if not rate:
        return []

    def drop(module: nn.Module, arguments: tuple, output: Any) -> Any:
        if not module.training:
            return output
        hidden = output[0] if isinstance(output, tuple) else output
        dropped = arguments[0] + nn.functional.dropout(hidden - arguments[0], rate)
        return (dropped, *output[1:]) if isinstance(output, tuple) else dropped

    return [layer.register_forward_hook(drop) for layer in forward.get_decoder(model).layers]
