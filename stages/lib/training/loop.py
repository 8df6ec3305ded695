"""The training loop of every model here: base, generator, verifiers. Built on accelerate.

A step takes `global_batch` examples in micro-batches of `device_batch`, dealt round the processes. The loss is divided
by the weight of the whole step's targets, so one process, several, or more accumulation compute the same gradient up to
rounding, whether each process holds the model or all share it (FSDP2, lib/training/fsdp.py). Order and dropout are
keyed by (seed, stage, epoch or step), so a resumed run needs no generator state: killed at any instant and run again, it
ends on CPU with the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.models import forward, loading
from stages.lib.models.batch import Example
from stages.lib.models.forward import autocast
from stages.lib.models.objectives import LossModule
from stages.lib.run import distributed, launcher
from stages.lib.run.execution import StageRun
from stages.lib.training import checkpoints, data_loader, fsdp
from stages.lib.training.muon import Muon


@dataclass
class History:
    """What happened so far; saved with every checkpoint, written to history.csv at the end."""

    rows: list[dict[str, float]] = field(default_factory=list)

    def to_csv(self) -> str:
        names = {name for row in self.rows for name in row}
        names = ["step", "epoch", *sorted(names - {"step", "epoch"})]  # of rows read back from a checkpoint too
        lines = [",".join(names)]
        lines += [",".join(f"{row[name]:.6g}" if name in row else "" for name in names) for row in self.rows]
        return "\n".join(lines) + "\n"


def train(
    run: StageRun,
    losses: LossModule,
    examples: Sequence[Example],
    params: Any,
    lm_weight: float = 1.0,
    dropout: float = 0.0,
    on_epoch: Callable[[int, nn.Module], dict[str, float]] | None = None,
) -> History:
    """Train `losses` in place; afterwards every process holds all of it. params: an Optimisation. on_epoch(epoch, losses)
    may evaluate and keep a copy; what it returns joins the history. Raises UserError when the batch sizes do not fit
    together, or the processes do not."""
    from accelerate import Accelerator

    loading.check_bf16_support(distributed.init_processes(run).device, params.precision, f'{run.name}.precision: "no"')
    accelerator = Accelerator(mixed_precision=params.precision)
    if accelerator.device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # what bfloat16 is not used for multiplies in TF32
    if params.global_batch % (params.device_batch * accelerator.num_processes):
        raise UserError(
            f"{run.name}.global_batch: {params.global_batch} is not a multiple of device_batch {params.device_batch} x "
            f"{accelerator.num_processes} processes"
        )
    if params.gradient_checkpointing:
        losses.model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    hooks = _add_residual_dropout(losses.model, dropout)
    frozen = _get_frozen_weights(losses.model) if params.precision == "bf16" else []
    for p in frozen:  # as autocast would make of it at every use
        p.data = p.data.bfloat16()
    plan = _plan_steps(run, [len(example.ids) for example in examples], params)
    sharded = run.world_size > 1 and launcher.fsdp_enabled()
    if sharded:
        trained = fsdp.copy_for_sharding(losses)  # `losses` waits in main memory, whole
        wrapped = fsdp.shard(trained, forward.get_decoder(trained.model).layers, accelerator.device)
        prepared = optimizers = _build_optimizers(trained, params)
    else:
        trained, optimizers = losses, _build_optimizers(losses, params)
        wrapped, *prepared = accelerator.prepare(losses, *optimizers)
    history, done = History(), 0
    saved = checkpoints.load_latest(run.checkpoint_dir)
    if saved:
        tensors, facts = saved
        _restore_checkpoint(trained, optimizers, tensors)
        history.rows, done = facts["history"], facts["step"]
    else:
        _save_checkpoint(run, 0, trained, optimizers, history)
    bar = run.track_progress(range(done, len(plan)), len(plan) - done, "training")
    tokens, began = 0, time.monotonic()
    for step in bar:
        epoch, chosen, ends = plan[step]
        trained.train()
        scale = _compute_lr_scale(step, len(plan), params.warmup)
        for optimizer in prepared:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * scale
        micro = [chosen[i : i + params.device_batch] for i in range(0, len(chosen), params.device_batch)]
        weight_lm = sum(sum(examples[i].lm_weight[1:]) for i in chosen)
        weight_value = sum(sum(examples[i].target_weight) for i in chosen if examples[i].target_weight)
        sums = torch.zeros(2, device=accelerator.device)
        turns = range(accelerator.process_index, -(-len(micro) // run.world_size) * run.world_size, run.world_size)
        for turn in turns:  # as many for every process: who has no micro-batch left takes part with nothing
            share = float(turn < len(micro))
            part = micro[turn] if share else chosen[:1]
            torch.manual_seed(seeds.key(run.seed, run.name, "dropout", step, part[0]) >> 1)
            batch = data_loader.collate([examples[i] for i in part]).to(accelerator.device)
            # A model that is shared adds up its gradients where they belong each time: whole ones would not fit.
            with accelerator.no_sync(wrapped) if turn != turns[-1] and not sharded else nullcontext():
                with accelerator.autocast():
                    language, verification = wrapped(batch)
                loss = lm_weight * language / max(weight_lm, 1e-9) + verification / max(weight_value, 1e-9)
                # Gradients are averaged over processes; the loss is a share of the step's sum.
                accelerator.backward(loss * (share * run.world_size))
            sums += torch.stack([language.detach().float(), verification.detach().float()]) * share
        tokens += sum(len(examples[i].ids) for i in chosen)
        norm = accelerator.clip_grad_norm_(trained.parameters(), params.clip)
        for optimizer in prepared:
            optimizer.step()
            optimizer.zero_grad()
        sums = accelerator.reduce(sums, "sum")
        row = {"step": step + 1, "epoch": epoch, "lr": params.lr * scale, "grad_norm": float(norm)}
        if weight_lm:
            row["lm_loss"] = sums[0].item() / weight_lm
        if weight_value:
            row["verification_loss"] = sums[1].item() / weight_value
        if not all(abs(value) < float("inf") for value in row.values()):
            raise UserError(f"{run.name}: the loss is not finite at step {step + 1}; lower {run.name}.lr ({params.lr})")
        if ends and on_epoch:
            if sharded:
                fsdp.gather_into(trained, losses)
                losses.to(accelerator.device)
            losses.eval()
            with autocast(losses, params.precision):
                row |= on_epoch(int(epoch), losses)
            if sharded:
                losses.to("cpu")
        history.rows.append(row)
        run.log(
            step + 1, **{k: v for k, v in row.items() if k != "step"}, tokens_per_s=tokens / (time.monotonic() - began)
        )
        if (step + 1) % params.checkpoint_steps == 0 or ends:
            _save_checkpoint(run, step + 1, trained, optimizers, history)
    if sharded:
        fsdp.gather_into(trained, losses)
        losses.to(accelerator.device)
    run.count(tokens=tokens, flops=loading.estimate_flops(losses.model, tokens, training=True))
    for hook in hooks:
        hook.remove()
    for p in frozen:
        p.data = p.data.float()
    losses.eval()
    accelerator.wait_for_everyone()
    return history


def _get_frozen_weights(model: nn.Module) -> list[nn.Parameter]:
    """Weights and biases of the linear layers that are not trained: nearly all of a model with adapters. The embedding
    stays, and the output matrix, which may be the same: what each layer adds is then summed as before."""
    layers = [layer for layer in forward.get_decoder(model).modules() if isinstance(layer, nn.Linear)]
    return [p for layer in layers for p in layer.parameters(recurse=False) if not p.requires_grad]


def _plan_steps(run: StageRun, lengths: list[int], params: Any) -> list[tuple[float, list[int], bool]]:
    """(epoch, indices, whether an epoch ends here) for every step. A fraction of an epoch ends early."""
    if not lengths:
        raise UserError(f"{run.name}: there are no examples to train on; see data/benchmarks/metrics.json")
    plan: list[tuple[float, list[int], bool]] = []
    epoch = 0
    while epoch < params.epochs:
        steps = data_loader.make_epoch_batches(
            lengths, params.global_batch, seeds.rng(run.seed, run.name, "order", epoch)
        )
        if params.epochs - epoch < 1:
            steps = steps[: max(1, round(len(steps) * (params.epochs - epoch)))]
        epoch += 1
        plan += [(epoch, step, i == len(steps) - 1) for i, step in enumerate(steps)]
    return plan


def _compute_lr_scale(step: int, steps: int, warmup: float) -> float:
    """Linear up over the warm-up, then linear down to 0 at the end."""
    rising = max(1, round(steps * warmup))
    return min((step + 1) / rising, (steps - step) / max(1, steps - rising))


def _build_optimizers(losses: LossModule, params: Any) -> list[torch.optim.Optimizer]:
    named = [(name, p) for name, p in losses.named_parameters() if p.requires_grad]
    outer = ("embed", "lm_head", "head.", "wte")  # Muon is for matrices between hidden layers (Jordan et al. 2024)
    inner = [p for name, p in named if p.ndim == 2 and not any(word in name for word in outer)]
    inner = inner if params.optimizer == "muon" else []
    chosen = {id(p) for p in inner}
    rest = [p for _, p in named if id(p) not in chosen]
    made: list[torch.optim.Optimizer] = []
    if rest:  # adapters without a head are matrices alone
        made.append(torch.optim.AdamW(rest, lr=params.lr, betas=(0.9, 0.98), weight_decay=params.weight_decay))
    if inner:
        made.append(Muon(inner, lr=params.matrix_lr, weight_decay=params.weight_decay))
    for optimizer in made:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return made


def _add_residual_dropout(model: nn.Module, rate: float) -> list[Any]:
    """Dropout on what each layer adds to the residual stream, for any decoder (Cobbe et al. 2021, section 4.3)."""
    if not rate:
        return []

    def drop(module: nn.Module, arguments: tuple, output: Any) -> Any:
        if not module.training:
            return output
        first = output[0] if isinstance(output, tuple) else output
        dropped = arguments[0] + nn.functional.dropout(first - arguments[0], rate)
        return (dropped, *output[1:]) if isinstance(output, tuple) else dropped

    return [layer.register_forward_hook(drop) for layer in forward.get_decoder(model).layers]


def _save_checkpoint(run: StageRun, step: int, losses: LossModule, optimizers: list, history: History) -> None:
    """Written by the main process; the others give it their parts of what is shared."""
    tensors = {f"model.{name}": p for name, p in losses.named_parameters() if p.requires_grad}
    for k, optimizer in enumerate(optimizers):
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{k}.{i}.{name}": torch.as_tensor(value) for name, value in state.items()}
    for name, tensor in tensors.items():
        found = fsdp.full_tensor(tensor.detach())
        tensors[name] = found.cpu() if run.is_main else found.new_empty(0)
    if run.is_main:
        checkpoints.save(run.checkpoint_dir, step, tensors, {"step": step, "history": history.rows})


def _restore_checkpoint(losses: LossModule, optimizers: list, tensors: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, p in losses.named_parameters():
            if p.requires_grad:
                p.copy_(fsdp.shard_like(tensors[f"model.{name}"], p))
    for k, optimizer in enumerate(optimizers):
        groups = optimizer.state_dict()["param_groups"]
        owners = dict(enumerate(p for group in optimizer.param_groups for p in group["params"]))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            kind, *rest = name.split(".")
            if kind == "optimizer" and int(rest[0]) == k:
                owner = owners[int(rest[1])]
                own = fsdp.shard_like(tensor, owner) if tensor.shape == owner.shape else tensor  # or a count of steps
                state.setdefault(int(rest[1]), {})[rest[2]] = own
        optimizer.load_state_dict({"state": state, "param_groups": groups})
