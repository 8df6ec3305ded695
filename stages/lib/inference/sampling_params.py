"""Sampling parameters: the keys that generator, samples and labels share, each in its own section."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from stages.lib.core.params import Params
from stages.lib.inference.sampling import Distribution


class SamplingParams(Params):
    """Parent of the parameters of every stage that draws solutions."""

    temperature: float = Field(gt=0)  # of every draw, except the greedy ones
    top_k: int = Field(ge=0)  # draw from the k likeliest tokens alone; 0: from all
    top_p: float = Field(gt=0, le=1)  # draw from the likeliest tokens that together reach this probability
    max_new_tokens: int = Field(ge=1)  # tokens of a draw at most; a longer one is cut off and counts as wrong
    max_rows: Annotated[int, Field(ge=16)] | Literal["auto"]  # draws at a time; auto: what fits; changes no draw

    @field_validator("max_rows", mode="before")
    @classmethod
    def _check_rows(cls, rows: object) -> object:
        if rows != "auto" and not (type(rows) is int and rows >= 16):
            raise ValueError("must be auto or a whole number >= 16")
        return rows

    @property
    def distribution(self) -> Distribution:
        """What tokens are drawn from."""
        return Distribution(self.temperature, self.top_k, self.top_p)
