"""Training examples of the generative verifier: rationales, bare verdicts and right solutions, each with its weight.

The loss is L_verification + lambda L_correct (Zhang et al. 2024, arXiv 2408.15240, section 3.3), each a mean over tokens.
L_verification falls on rationales and on bare verdicts, L_correct on right solutions, since a model that can solve can
also check.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stages.lib.core import seeds
from stages.lib.core.records import Problem, Sample
from stages.lib.models.batch import Example
from stages.lib.models.encoding import Encoder
from stages.lib.verifiers import verdicts
from stages.lib.verifiers.generative import Mode, encode_question
from stages.lib.verifiers.verdicts import Segment

VERSION = 1  # part of every key
Pair = tuple[Problem, Sample]


class EncodedPair(NamedTuple):
    """A problem with a solution and its verification. In `example` the tokens of the solution have no weight yet;
    `solution_span` says where they are."""

    example: Example
    solution_span: slice
    is_right: bool


def balance_classes(pairs: Sequence[Pair], seed: int) -> list[Pair]:
    """As many right as wrong samples: a keyed choice among the more frequent class. All, if there is one class only."""
    classes = [[pair for pair in pairs if pair[1].is_right == is_right] for is_right in (True, False)]
    size = min(map(len, classes))
    if not size:
        return list(pairs)

    def order(pair: Pair) -> int:
        return seeds.key(seed, "genrm", VERSION, pair[1].problem_id, pair[1].index, "balance")

    kept = {(problem.id, sample.index) for pairs in classes for problem, sample in sorted(pairs, key=order)[:size]}
    return [pair for pair in pairs if (pair[0].id, pair[1].index) in kept]


def encode_pair(encoder: Encoder, pair: Pair, mode: Mode, segments: Sequence[Segment]) -> EncodedPair:
    """Problem, solution and request, then the weighted segments and the end token."""
    problem, sample = pair
    ids, solution_span = encode_question(encoder, problem, sample.text, mode)
    weights = [0.0] * len(ids)
    texts = [text for text, _ in segments]  # encoded in one call, which costs as much as one text
    for piece, (_, weight) in zip(encoder.encode_texts(texts), segments, strict=True):
        ids, weights = ids + piece, weights + [float(weight)] * len(piece)
    return EncodedPair(Example([*ids, encoder.end_id], [*weights, 1.0]), solution_span, sample.is_right)


def normalize_weights(pairs: Sequence[EncodedPair], lm_weight: float) -> list[Example]:
    """The examples of one mode. The verification weighs 1 per example on average, right solutions `lm_weight` times that.

    The loss of a training step is divided by the weight of its tokens, so only relative weights matter. If both modes
    were scaled together, the many tokens of rationales would drown the bare verdicts, and solutions their own verdict.
    """
    verification = sum(sum(pair.example.lm_weight) for pair in pairs)
    solution = sum(pair.solution_span.stop - pair.solution_span.start for pair in pairs if pair.is_right)
    examples = []
    for example, span, is_right in pairs:
        weights = [weight * len(pairs) / verification for weight in example.lm_weight]
        if is_right:
            weights[span] = [lm_weight * len(pairs) / solution] * (span.stop - span.start)
        examples.append(example._replace(lm_weight=weights))
    return examples


def build_examples(
    encoder: Encoder,
    pairs: Sequence[Pair],
    rationales: Sequence[tuple[Pair, list[Segment]]],
    gold: Sequence[Example] | None,
    direct_share: float,
    lm_weight: float,
    seed: int,
) -> list[Example]:
    """Rationales, then the bare verdicts on a keyed share of the pairs, then gold solutions.

    gold: solutions for L_correct; None to use the right samples among the pairs themselves. lm_weight: lambda.
    """
    cot = [encode_pair(encoder, pair, "cot", segments) for pair, segments in rationales]
    direct = []
    for pair in pairs:
        problem, sample = pair
        if seeds.uniforms(seed, "genrm", VERSION, problem.id, sample.index, "direct", n=1)[0] < direct_share:
            verdict = verdicts.format_verdict(sample.is_right)
            direct.append(encode_pair(encoder, pair, "direct", [(verdict, verdicts.DIRECT_VERDICT_WEIGHT)]))
    own_weight = lm_weight if gold is None else 0.0
    examples = [*normalize_weights(cot, own_weight), *normalize_weights(direct, own_weight)]
    if not gold or not lm_weight:
        return examples
    scale = lm_weight * len(examples) / max(1.0, sum(sum(example.lm_weight) for example in gold))
    return examples + [example._replace(lm_weight=[scale * w for w in example.lm_weight]) for example in gold]
