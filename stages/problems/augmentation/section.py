"""The parameters of stage augmentation. A method with knobs of its own has a key of its name, and its model in its file."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import Field, field_validator, model_validator

from stages.lib.chat.agent_params import AgentParams
from stages.lib.core import params
from stages.lib.core.errors import UserError
from stages.lib.operators import registry
from stages.problems.augmentation.methods.answers import AnswersParams
from stages.problems.augmentation.methods.evolve import EvolveParams
from stages.problems.augmentation.methods.self_instruct import SelfInstructParams

MethodName = Literal["operators", "rephrase", "fobar", "self_verification", "answers", "self_instruct", "evolve"]
NEEDED_AGENTS = {"self_instruct": ("writer", "solver"), "evolve": ("writer", "judge", "solver")}  # of these methods


class Params(params.Params):
    methods: list[MethodName]  # how new problems are made; [] makes none
    problems_per_method: int | None = Field(ge=1)  # new train problems of each, at most; null: all that parents give
    verifier_problems_per_method: int = Field(ge=0)  # the same for the verifiers, from parents of the verifier split
    operators: list[str]  # of lib/operators, for the method operators; composed by `+`
    writer: AgentParams  # who writes questions: rules (no model), openai, hf
    judge: AgentParams  # who judges them
    solver: AgentParams  # who answers what no program can solve, and what a writer rephrased
    max_tries: int = Field(ge=1)  # of a writer at one problem
    solver_samples: int = Field(ge=1)  # answers that are sampled where no program knows the answer
    answers: AnswersParams  # other solutions of the same problems
    self_instruct: SelfInstructParams  # problems that a writer invents after examples
    evolve: EvolveParams  # problems that a writer changes step by step

    @field_validator("methods")
    @classmethod
    def _check_methods(cls, names: list[str]) -> list[str]:
        if repeated := [name for name, number in Counter(names).items() if number > 1]:
            raise ValueError(f"{repeated[0]} is listed twice")
        return names

    @field_validator("operators")
    @classmethod
    def _check_operators(cls, names: list[str]) -> list[str]:
        if not names:
            raise ValueError("name an operator, or leave operators out of augmentation.methods")
        try:
            return list(map(registry.format_name, names))
        except UserError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _check_agents(self) -> Params:
        needed = dict(NEEDED_AGENTS, **({"answers": ("solver",)} if self.answers.sampler == "solver" else {}))
        for method in self.methods:
            for agent in needed.get(method, ()):
                if getattr(self, agent).kind == "rules":
                    raise ValueError(
                        f"methods: {method} wants a model; set {agent} to openai or hf, or leave {method} out"
                    )
        return self
