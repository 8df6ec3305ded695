"""The parameters of stage selection."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from stages.lib.core import params

Origin = Literal["benchmarks", "aime", "ood", "augmentation"]
MethodName = Literal[
    "all", "random", "longest", "car", "one_pass", "k_center", "adversarial", "uncertainty", "uncertain_and_good"
]


class PlantedParams(params.Params):
    """Shares of the pool. A problem gets one fault at most."""

    wrong_step: float = Field(ge=0, le=1)  # a number of a step is wrong
    wrong_answer: float = Field(ge=0, le=1)  # the solution ends in another answer
    cut_end: float = Field(ge=0, le=1)  # the solution stops early
    duplicates: float = Field(ge=0, le=1)  # copies that are added

    @model_validator(mode="after")
    def _check_sum(self) -> PlantedParams:
        if self.wrong_step + self.wrong_answer + self.cut_end > 1:
            raise ValueError("wrong_step, wrong_answer and cut_end must add up to 1 or less: a problem gets one fault")
        return self


class BudgetParams(params.Params):
    """How much is chosen: a share or a number, of problems or of the tokens of their solutions."""

    by: Literal["items", "tokens"]  # what is counted: problems, or tokens of their solutions
    share: float | None = Field(None, gt=0, le=1)  # of what is chosen from; or number
    number: int | None = Field(None, ge=1)  # of items or tokens; or share

    @model_validator(mode="after")
    def _check_one(self) -> BudgetParams:
        if (self.share is None) == (self.number is None):
            raise ValueError("must have a share or a number, and not both")
        return self


class Params(params.Params):
    competition_problems: int = Field(ge=0)  # competition problems that join, of data/aime/train.jsonl
    dyval_problems: int = Field(ge=0)  # problems from random graphs that join, of data/ood/train.jsonl
    augmentation_problems: (
        Annotated[int, Field(ge=0)] | Literal["all"]
    )  # new ones of data/augmentation/train.jsonl; or all
    replay: Literal["none", "items", "tokens"]  # copies in place of new problems: as many, or as many tokens
    planted: PlantedParams  # shares of the pool that get a fault, to see how many of them a method keeps
    method: MethodName  # how problems are chosen; all: every one
    settings: dict[str, Any]  # of the method: stages/lib/selection/methods
    budget: BudgetParams  # how much is chosen
    existing: list[Origin]  # kept whole; the method chooses among the others, in view of them
    embedding: Literal[
        "tfidf", "hidden", "minilm"
    ]  # tfidf; hidden: the last layer of model; minilm: a sentence encoder
    quality: Literal["none", "length", "faults", "model"]  # faults: learned from planted ones; model: a verifier
    model: str  # a model folder: its tokenizer counts tokens, and it reads rows where embedding or method ask for it
    control: Literal["none", "items", "tokens"]  # random rows in place of the chosen ones: as many, or as many tokens
    stability_seeds: int = Field(ge=0, le=20)  # further seeds that repeat the choice (not embedding and quality)

    @field_validator("augmentation_problems", mode="before")
    @classmethod
    def _check_count(cls, count: object) -> object:
        if count != "all" and not (type(count) is int and count >= 0):
            raise ValueError("must be all or a whole number >= 0")
        return count

    @model_validator(mode="after")
    def _check_whole(self) -> Params:
        if self.method == "all" and (self.budget.share != 1.0 or self.control != "none"):
            raise ValueError("method all keeps every problem: budget must be share 1.0 and control none")
        return self
