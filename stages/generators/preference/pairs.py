"""Pairs of solutions of one problem, one judged right and one judged wrong, and which problems they may come from.

Who judges is the teacher: the truth (graded answers), or a verifier, for which a solution is right where its score is at
least one half. `random` takes the pairs of the truth and tosses for which one is chosen: the control arm, of equal items
and equal tokens, that teaches nothing about the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from stages.lib.core import seeds
from stages.lib.core.problem_ids import get_root
from stages.lib.core.records import Problem, Sample
from stages.lib.models.batch import Example
from stages.lib.models.encoding import Encoder
from stages.lib.models.preference import Pair

VERSION = 1  # part of every key
Teacher = Literal["truth", "random", "orm", "prm", "genrm"]


class SamplePair(NamedTuple):
    problem_id: str
    chosen: Sample
    rejected: Sample


def split_held_out(problem_ids: Iterable[str], count: int, seed: int) -> tuple[list[str], list[str]]:
    """(to learn from, held out), both in keyed order. About `count` are held out, and with a problem all its variants."""
    families: dict[str, list[str]] = {}
    for name in sorted(problem_ids):
        families.setdefault(get_root(name), []).append(name)
    order = sorted(families, key=lambda root: seeds.key(seed, "preference", VERSION, root, "order"))
    held_out: list[str] = []
    while order and len(held_out) < count:
        held_out += families[order.pop()]
    return [name for root in order for name in families[root]], held_out


def pair_samples(
    pool: Sequence[Sample], values: Sequence[float], limit: int, seed: int, is_random: bool = False
) -> list[SamplePair]:
    """At most `limit` pairs of one problem's samples, drawn by key from all pairs of a right and a wrong one.

    values: (samples,) the teacher's judgement of each: right at 1/2 and above. Equal solutions count once. is_random: a
    keyed coin decides which of the two is chosen. A larger limit adds pairs and changes none.
    """
    distinct: dict[tuple[str, str], tuple[Sample, float]] = {}
    for sample, value in zip(pool, values, strict=True):
        distinct.setdefault((sample.text, sample.finish), (sample, value))
    judged = [(sample, value) for sample, value in distinct.values() if sample.text.strip()]
    right = [sample for sample, value in judged if value >= 0.5]
    wrong = [sample for sample, value in judged if value < 0.5]

    def draw(one: Sample, two: Sample, field: str) -> int:
        return seeds.key(seed, "preference", VERSION, one.problem_id, one.index, two.index, field)

    drawn = sorted(((one, two) for one in right for two in wrong), key=lambda pair: draw(*pair, "pair"))[:limit]
    turned = [(two, one) if is_random and draw(one, two, "coin") % 2 else (one, two) for one, two in drawn]
    return [SamplePair(one.problem_id, one, two) for one, two in turned]


def balance_lengths(pairs: Sequence[SamplePair]) -> list[SamplePair]:
    """The pairs in their order, without the last ones of the larger group, so that in as many the chosen solution is the
    longer one as the shorter one. Otherwise length alone tells chosen from rejected."""
    differences = [pair.chosen.tokens - pair.rejected.tokens for pair in pairs]
    most = min(sum(x > 0 for x in differences), sum(x < 0 for x in differences))
    kept, counts = [], {1: 0, -1: 0}
    for pair, difference in zip(pairs, differences, strict=True):
        sign = (difference > 0) - (difference < 0)
        if sign:
            counts[sign] += 1
        if not sign or counts[sign] <= most:
            kept.append(pair)
    return kept


def make_pairs(
    pools: Mapping[str, Sequence[Sample]],
    values: Mapping[str, Sequence[float]],
    problem_ids: Sequence[str],
    per_problem: int,
    most: int | None,
    seed: int,
    length_balanced: bool = False,
    is_random: bool = False,
) -> list[SamplePair]:
    """At most `most` pairs of these problems (None: all), of the first of them first."""
    pairs = [
        pair for name in problem_ids for pair in pair_samples(pools[name], values[name], per_problem, seed, is_random)
    ]
    pairs = balance_lengths(pairs) if length_balanced else pairs
    return balance_lengths(pairs[:most]) if length_balanced else pairs[:most]


def encode_pair(encoder: Encoder, problem: Problem, pair: SamplePair) -> Pair:
    """Both solutions after the prompt that the generator is asked with. Every token of a solution counts. One that was cut
    off ends with its last word: the end of a step, which was never drawn, is not learned to be avoided."""

    def encode(sample: Sample) -> Example:
        steps = encoder.prompt.split_steps(sample.text)
        encoded = encoder.encode(problem, steps, finished=sample.finish == "stop", shots=True)
        ids, prompt_length = encoded.ids, encoded.prompt_length
        if sample.finish != "stop" and steps:
            start = encoded.step_ends[-2] + 1 if len(steps) > 1 else prompt_length
            ids = [*ids[:start], *encoder.encode_texts(steps[-1:])[0]]
        return Example(ids, [0.0] * prompt_length + [1.0] * (len(ids) - prompt_length))

    return Pair(encode(pair.chosen), encode(pair.rejected))


def describe_pairs(pairs: Sequence[SamplePair]) -> dict[str, float]:
    """How many, how often the teacher is right (chosen right and rejected wrong), exchanges them, or pairs equals; and how
    much longer the chosen solution is, in tokens."""
    count = max(1, len(pairs))
    outcomes = [(pair.chosen.is_right, pair.rejected.is_right) for pair in pairs]
    longer = [pair.chosen.tokens - pair.rejected.tokens for pair in pairs]
    return {
        "pairs": len(pairs),
        "problems": len({pair.problem_id for pair in pairs}),
        "right": outcomes.count((True, False)) / count,
        "exchanged": outcomes.count((False, True)) / count,
        "equal": sum(one == two for one, two in outcomes) / count,
        "length_difference": sum(longer) / count,
        "chosen_longer": sum(x > 0 for x in longer) / count,
    }
