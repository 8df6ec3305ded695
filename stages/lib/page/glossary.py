"""What every row of a table means, in a sentence, and the warnings that the figures need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stages.lib.display.tables import LABEL_NAMES, ORACLE_SCORES, format_score_name
from stages.lib.reports.curves import METHOD_KINDS, parse_score_name
from stages.lib.reports.pools import ENSEMBLES

SCORES = {
    "orm": "outcome verifier: the probability that a whole solution is right, learned from graded samples",
    "prm": "process verifier: a probability for every step, learned from step labels and combined into one score",
    "prm_exact": "process verifier trained on the true value of every step, an oracle",
    "genrm": "generative verifier: the probability of the word Yes when it is asked whether the solution is right",
    "base_orm": "the untrained base model, read like the outcome verifier before its training",
    "base_prm": "the untrained base model, read like the process verifier",
    "base_genrm": "the untrained base model, asked the generative verifier's question",
    "ensemble": "logistic regression over the trained verifiers and the likelihood, fitted on dev",
    "ensemble_free": "logistic regression over the untrained base's scores and the likelihood, fitted on dev",
    "likelihood_sum": "the generator's own log-probability of the solution",
    "likelihood_mean": "the generator's own log-probability of a token, on average",
    "likelihood_min": "the generator's own log-probability of the least likely token",
}
METHODS = {
    "options": "Takes the likeliest option of the question.",
    "greedy": "One solution, at temperature 0.",
    "pass_1": "One solution, drawn at random: the generator alone.",
    "majority": "The answer that most solutions give. No verifier.",
    "pass": "Some solution is right: no selection can do better.",
}
OPERATORS = {
    "names": "first names that were never seen",
    "roles": "roles such as the teacher in place of people",
    "items": "other things are counted",
    "units": "exact other units, such as dozens or minutes",
    "order": "sentences in another order",
    "phrasing": "sentence templates that were never seen",
    "irrelevant": "additional sentences that the answer does not need",
    "typos": "typing errors",
    "preamble": "sentences in front that change nothing",
    "unknowns": "a number is replaced by two equations that determine it",
    "numbers": "other numbers of the same size",
    "larger": "numbers ten times as large",
    "steps": "more steps to the answer",
    "reversed": "the answer is given, an earlier number is asked for",
    "premise": "a fact that the answer needs is withheld, so the right answer is N/A; with solvable twins",
}
LABEL_TERMS = {
    "outcome alone": "every step has the grade of its solution",
    "pool": "steps that a right solution of the same problem shares are right, those after them wrong; no completions",
    "hard": "a step is right if any of N completions from it ends in the right answer (Math-Shepherd)",
    "soft": "the share of right completions (Math-Shepherd)",
    "relative progress": "the share of right completions after the step, against that before it",
    "agreeing with progress": "only steps on which `hard` and `relative progress` agree",
    "monotone": "no step is right after a wrong one",
    "binary search": "the first step without a right completion, found by halving (OmegaPRM)",
}
AUDIT_NAMES = {"pool": "pool alone", "mc_hard": "hard", "mc_soft": "soft", "binary_search": "binary search"}
SMALL_MODEL = 10_000_000  # weights


def explain_method(method: str, settings: Mapping[str, Mapping[str, float]]) -> str:
    """One sentence. settings: {score: {power, share}}."""
    score = parse_score_name(method)
    if score is None:
        return METHODS.get(method, "")
    kind = next(kind for kind in METHOD_KINDS if method.startswith(f"{kind}_"))
    power, share = (settings.get(score, {}).get(key, default) for key, default in (("power", 1.0), ("share", 0.25)))
    use = {
        "best_of": "Takes the solution with the highest score.",
        "weighted": f"Solutions vote for their answer with the weight score ** {power:g}"
        + (", a plain majority." if power == 0 else "."),
        "top": f"The best {100 * share:g} % of the solutions vote.",
    }[kind]
    meaning = SCORES.get(score, f"the score {format_score_name(score)!r}")
    return f"{use} The score: {meaning}."


def describe_labels(metrics: Mapping[str, Any]) -> str:
    """What the process verifier learned from. metrics: of stage prm."""
    method = LABEL_NAMES.get(metrics["label_method"], metrics["label_method"])
    return (
        f"The process verifier of this run learned from {metrics['labels']:,} {method} labels of {metrics['samples']:,} "
        f"solutions; the {metrics['aggregation']} of its step scores is its score of a solution, chosen on dev."
        + (" Their row is in bold." if metrics["label_method"] in AUDIT_NAMES else "")
    )


def explain_operators(names: Sequence[str]) -> list[tuple[str, str]]:
    """(operator, what it changes) of the sets with these names, such as `gradeschool~typos`."""
    parts = dict.fromkeys(part for name in names for part in name.partition("~")[2].split("+"))
    return [(part, OPERATORS[part]) for part in parts if part in OPERATORS]


def list_caveats(metrics: Mapping[str, Any], scores: Sequence[str], weights: int) -> list[str]:
    """metrics: of best_of_n; weights: of the generator."""
    caveats = [
        "Settings (powers, shares, the best free method, thresholds) were chosen on dev. Everything reported is measured "
        "on test sets that no choice has seen.",
        "Intervals are over problems: how far the figure would move with other problems of the same kind. They allow for "
        "an outcome that was not seen, so with few problems one side reaches further than the other. This is one "
        "training seed; python -m stages seeds --run repeats the chain over several.",
        "A method that is compared with many others is significant by chance at times: read the p-values corrected by "
        "Holm's rule.",
    ]
    if weights < SMALL_MODEL:
        caveats.insert(
            0,
            f"A tiny world: the generator has {weights:,} weights. The figures show that the machinery works, not what "
            "large models do.",
        )
    if oracles := [format_score_name(name) for name in scores if name in ORACLE_SCORES]:
        caveats.append(
            f"{', '.join(oracles)}: trained on labels that only problems with a known value after every step have. It "
            "shows what better labels would be worth; a real pipeline cannot reach it."
        )
    if any(name in ENSEMBLES for name in scores):
        caveats.append(
            "Ensembles are fitted on dev's answers. On dev itself their scores are cross-fitted: each problem is scored "
            "by a fit that has not seen it."
        )
    sets = metrics.get("sets") or {}
    if sets.get("sets"):
        caveats.append(
            f"Of {sets['sets']} sets out of distribution with a row, {sets['alive']} are alive (the generator solves "
            "enough of them for a choice to matter). On the others a verifier has little to choose from."
        )
    return caveats
