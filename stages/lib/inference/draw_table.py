"""What draws that are being decoded have come to: their tokens, which have ended, and what the calculator still writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stages.lib.inference.sampling import Draw
from stages.lib.models.calculator import TAIL_TOKENS, Calculator
from stages.lib.models.stops import StopCriteria


class Request(NamedTuple):
    """Draws number first_draw, first_draw + 1, ... of one prompt, one for each of `keys`."""

    prompt_index: int
    first_draw: int
    ids: Sequence[int]
    keys: Sequence[int]


class DrawTable:
    """`size` places, each for one draw of at most `max_new_tokens` tokens.

    request_of_draw: place -> (request, number of the draw in it). keys, ages (size,): its key, and tokens so far. is_alive
    (size,): whether a draw is there that has not ended. ids (size, max_new_tokens): the tokens.
    """

    def __init__(self, size: int, max_new_tokens: int, stops: StopCriteria, calculator: Calculator | None):
        self.stops, self.calculator = stops, calculator
        self.request_of_draw: list[tuple[Request, int] | None] = [None] * size
        self.keys = np.zeros(size, np.int64)
        self.ages, self.is_alive = np.zeros(size, int), np.zeros(size, bool)
        self.ids, self.logprobs = np.zeros((size, max_new_tokens), int), np.zeros((size, max_new_tokens), np.float32)
        self._forced: dict[int, list[int]] = {}  # place -> the tokens that the calculator still has to write

    def place(self, request: Request, places: np.ndarray) -> None:
        """Begin the draws of a request in free places."""
        for number, draw in enumerate(places.tolist()):
            self.request_of_draw[draw] = request, number
        self.keys[places] = np.array([key & (2**64 - 1) for key in request.keys], np.uint64).view(np.int64)
        self.ages[places], self.is_alive[places] = 0, True
        if self.calculator and self.calculator.may_be_due(np.array(request.ids[-1:]))[0]:
            self._begin_forced(places)

    def move(self, old: np.ndarray, new: np.ndarray) -> None:
        """Move living draws to free places."""
        place = dict(zip(old.tolist(), new.tolist(), strict=True))
        for a, b in place.items():
            self.request_of_draw[b] = self.request_of_draw[a]
        for column in (self.keys, self.ages, self.ids, self.logprobs, self.is_alive):
            column[new] = column[old]
        self.is_alive[old] = False
        self._forced = {place.get(draw, draw): rest for draw, rest in self._forced.items()}

    def record(self, ids: np.ndarray, logprobs: np.ndarray) -> list[tuple[Request, int, Draw]]:
        """Append a token to every living draw; return the draws that end with it. ids, logprobs: (living draws,)."""
        alive = np.flatnonzero(self.is_alive)
        ages = self.ages[alive]
        self.ids[alive, ages], self.logprobs[alive, ages] = ids, logprobs
        for draw, (token, *_) in self._forced.items():
            self.ids[draw, self.ages[draw]], self.logprobs[draw, self.ages[draw]] = token, 0.0
        self._forced = {draw: rest for draw, (_, *rest) in self._forced.items() if rest}
        ids = self.ids[alive, ages]
        self.ages[alive] += 1
        is_stop = np.isin(ids, self.stops.token_ids)
        if self.stops.texts:
            for i in np.flatnonzero(self.stops.may_complete(ids) & ~is_stop):
                is_stop[i] = self.stops.is_complete(self._get_ids(alive[i]))
        ended = is_stop | (ages + 1 == self.ids.shape[1])
        self.is_alive[alive[ended]] = False
        if self.calculator:
            self._forced = {draw: rest for draw, rest in self._forced.items() if self.is_alive[draw]}
            self._begin_forced(alive[self.calculator.may_be_due(ids) & ~ended])
        return [self._finish(draw, stopped) for draw, stopped in zip(alive[ended], is_stop[ended], strict=True)]

    def _get_ids(self, draw: int) -> list[int]:
        return self.ids[draw, : self.ages[draw]].tolist()

    def _finish(self, draw: int, stopped: bool) -> tuple[Request, int, Draw]:
        held = self.request_of_draw[draw]
        assert held
        logprobs = self.logprobs[draw, : self.ages[draw]].tolist()
        return *held, Draw(self._get_ids(draw), logprobs, "stop" if stopped else "length")

    def _begin_forced(self, draws: np.ndarray) -> None:
        """Find which of these draws, in whose last token an expression may end, go on with what the calculator writes."""
        assert self.calculator
        for draw in draws.tolist():
            held = self.request_of_draw[draw]
            assert held
            # The prompt counts, because the draw may continue an expression in it.
            if tokens := self.calculator.complete([*held[0].ids[-TAIL_TOKENS:], *self._get_ids(draw)]):
                self._forced[draw] = tokens
