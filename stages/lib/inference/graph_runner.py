"""CUDA graphs, one for each of a few sizes: captured when their work comes again, then launched as one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch


class GraphRunner:
    """Runs work of equal sizes: the first time as it is, which also warms up, then captured, then replayed."""

    def __init__(self, device: torch.device):
        self.graphs: dict[tuple[int, ...], Any] = {}
        self.seen: set[tuple[int, ...]] = set()
        self.is_enabled = device.type == "cuda"
        if self.is_enabled:
            self.stream, self.pool = torch.cuda.Stream(device), torch.cuda.graph_pool_handle()

    def run(self, sizes: tuple[int, ...], work: Callable[[], None]) -> None:
        if not self.is_enabled:
            work()
            return
        current, kind = torch.cuda.current_stream(), "cuda"
        self.stream.wait_stream(current)
        # Weights that autocast has cast and kept would be freed behind a graph's back.
        autocast = torch.autocast(
            kind, torch.get_autocast_dtype(kind), enabled=torch.is_autocast_enabled(kind), cache_enabled=False
        )
        with torch.cuda.stream(self.stream), autocast:
            if sizes not in self.graphs and sizes in self.seen:
                self._capture(sizes, work)
            if sizes in self.graphs:
                self.graphs[sizes].replay()
            else:
                self.seen.add(sizes)
                work()
        current.wait_stream(self.stream)

    def _capture(self, sizes: tuple[int, ...], work: Callable[[], None]) -> None:
        """A model whose operations wait for the CPU (some mixtures of experts) is run without graphs."""
        graph = torch.cuda.CUDAGraph()
        graph.capture_begin(pool=self.pool, capture_error_mode="thread_local")
        try:
            work()
        except RuntimeError as error:
            with contextlib.suppress(RuntimeError):
                graph.capture_end()
            if isinstance(error, torch.OutOfMemoryError):
                raise
            self.is_enabled = False
            self.graphs.clear()
            return  # `run` goes on without a graph
        graph.capture_end()
        self.graphs[sizes] = graph
