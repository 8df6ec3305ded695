"""Stage preference: teach the generator from pairs of its own solutions, by DPO, IPO or TR-DPO, and see what that changes.

Reads data/generator/{model, prompt.json}, data/samples/{verifier,dev,test,test_greedy}.parquet with their problems, the
models of the verifiers that it uses (data/{orm,prm,genrm}/model), and all evaluation sets, which must share no problem with
the pairs. Writes data/preference/{model, history.csv, results.json, report.md, curve.png, metrics.json}.

Pairs are a right and a wrong solution of one problem of the verifiers' split, as the truth or a verifier judges them
(`pairs_by`). The loss compares policy and reference (lib/models/preference.py). The reference stays (`fixed`, Rafailov et
al. 2023, arXiv 2305.18290), or follows the policy after every tau steps, a part of the way (`soft`) or all of it (`hard`;
Gorbatovski et al. 2024, TR-DPO, 2404.09656). Nothing is chosen here: the policy after the last step is kept. A verifier
that judges here has learned from the same problems, so it knows their answers better than those of new ones;
results.json has its AUC on both.

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.generators.preference
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from stages.lib.inference.sampling_params import SamplingParams
from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams

if TYPE_CHECKING:
    from stages.generators.preference.measures import Policies
    from stages.generators.preference.pairs import SamplePair
    from stages.lib.core.records import Problem, Sample
    from stages.lib.models.encoding import Encoder
    from stages.lib.models.preference import Pair, PreferenceObjective

MAX_ADAPTERS = 64  # of a soft reference with LoRA: each is one more product in every layer and every forward pass


class Params(TrainingParams, SamplingParams):
    objective: Literal["dpo", "ipo"]  # the loss
    beta: float = Field(gt=0)  # weight of staying near the reference: a larger one moves less
    reference: Literal["fixed", "soft", "hard"]  # fixed: the start; soft, hard: it follows the policy
    alpha: float = Field(ge=0, le=1)  # of soft: the policy's share in an update of the reference; hard is 1
    tau: int = Field(ge=1)  # of soft and hard: optimizer steps between two updates
    pairs_by: Literal["truth", "random", "orm", "prm", "genrm"]  # who judges; random: a control that teaches no answers
    pairs_per_problem: int = Field(gt=0)  # at most
    max_pairs: int | None = Field(gt=0)  # in all; null: no limit
    length_balanced: bool  # as many pairs whose chosen solution is the longer one as the shorter one
    heldout_problems: int = Field(ge=1)  # whose pairs are not learned from, for pair accuracy
    eval_problems: int = Field(gt=1)  # of test and of dev, by key
    eval_samples: int = Field(gt=1)  # N solutions of each, for pass@k, majority and best-of-k
    kl_samples: int = Field(gt=0)  # draws at temperature 1 of each test problem, for the divergence from the start
    verifiers: list[Literal["orm", "prm", "genrm"]]  # for best-of-N of both policies

    @model_validator(mode="after")
    def _check_master(self) -> Params:
        if self.master != "float32":
            raise ValueError("master must be float32: bfloat16 loses the small changes of policy and reference")
        return self

    @property
    def updates(self) -> tuple[float, int]:
        """(alpha, tau) of the reference; tau 0: none."""
        return (1.0 if self.reference == "hard" else self.alpha), (0 if self.reference == "fixed" else self.tau)


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.generators.preference import measures, report
    from stages.lib.core import files
    from stages.lib.models import loading
    from stages.lib.models.encoding import Encoder
    from stages.lib.run import distributed
    from stages.lib.training import loop

    state = distributed.init_processes(run)
    folder = run.input_path("generator", "model")
    encoder = Encoder.load(folder, run.input_path("generator", "prompt.json"))
    problems, pairs, held_out, results = prepare_pairs(run, state.device)
    examples = encode_pairs(encoder, problems, pairs)
    objective = build_objective(run, loading.load_causal_lm(folder), len(examples))
    history = loop.train(run, objective, examples, run.params) if examples else loop.History()
    policy, results["training"] = objective.model.to(state.device), describe_training(history.rows, examples)
    del objective  # and with it a copy of all weights
    # The reference has read every pair, too, without a backward pass.
    read = int(results["training"]["tokens"] * run.params.epochs)
    run.count(flops=loading.estimate_flops(loading.count_parameters(policy), read, training=False))
    start = loading.load_causal_lm(folder).to(state.device)
    policies = measures.Policies(run, policy, start, encoder)
    results["held_out"] = measures.summarize_pairs(policies.score_pairs(problems, held_out))
    results |= evaluate(run, policies, state.device)
    if run.is_main:
        loading.save(policy, encoder.tokenizer, run.out_dir / "model")
        files.write_text(run.out_dir / "history.csv", history.to_csv() if examples else "")
        report.write(run.out_dir, run.params, results)
        files.write_json(run.out_dir / "results.json", results)
    return select_headline(results)


def prepare_pairs(
    run: StageRun[Params], device: Any
) -> tuple[dict[str, Problem], list[SamplePair], list[SamplePair], dict[str, Any]]:
    """(problems by id, pairs to learn from, held-out pairs by the truth, what is to be said of them). Warns where there
    are none: then the policy stays the generator. Raises UserError for a problem of an evaluation set."""
    from stages.generators.preference import measures, pairs
    from stages.lib.core import records
    from stages.lib.datasets import eval_sets, firewall

    params = run.params
    problems = {problem.id: problem for problem in eval_sets.load_problems(run, "verifier")}
    samples = records.read_samples(run.input_path("samples", "verifier.parquet"))
    pools = records.group_by_problem(samples)
    evaluation = [problem for name in eval_sets.SCORED for problem in eval_sets.load_problems(run, name)]
    firewall.check_firewall((problems[name] for name in pools), evaluation)
    learned, held_out = pairs.split_held_out(pools, params.heldout_problems, run.seed)
    truth = measures.make_values(pools, None)
    values, teacher = truth, {}
    if params.pairs_by in ("orm", "prm", "genrm"):
        dev_problems = {problem.id: problem for problem in eval_sets.load_problems(run, "dev")}
        dev = records.group_by_problem(records.read_samples(run.input_path("samples", "dev.parquet")))
        judged = []
        for name, known, groups in (("verifier", problems, pools), ("dev", dev_problems, dev)):
            sets = [(known[key], pool) for key, pool in groups.items()]
            scores = measures.score_samples(run, name, params.pairs_by, sets, device)
            judged.append(measures.make_values(groups, scores))
        values = judged[0]
        aucs = [measures.measure_teacher(*each) for each in ((pools, values), (dev, judged[1]))]
        teacher = dict(zip(("auc_in_sample", "auc_dev"), aucs, strict=True))
    settings = (params.pairs_per_problem, params.max_pairs, run.seed)
    chosen = pairs.make_pairs(
        pools, values, learned, *settings, params.length_balanced, is_random=params.pairs_by == "random"
    )
    if not chosen and run.is_main:
        print(
            f"preference: warning: data/samples/verifier.parquet: no problem has both solutions that {params.pairs_by} "
            "judges right and wrong, so nothing is learned; raise samples.n_verifier or benchmarks.sizes.verifier, or "
            "lower preference.heldout_problems",
            file=sys.stderr,
        )
    held_pairs = pairs.make_pairs(pools, truth, held_out, params.pairs_per_problem, None, run.seed)
    return problems, chosen, held_pairs, {"pairs": pairs.describe_pairs(chosen), "teacher": teacher}


def encode_pairs(encoder: Encoder, problems: dict[str, Problem], chosen: list[SamplePair]) -> list[Pair]:
    from stages.generators.preference import pairs

    return [pairs.encode_pair(encoder, problems[pair.problem_id], pair) for pair in chosen]


def build_objective(run: StageRun[Params], model: Any, count: int) -> PreferenceObjective:
    """Policy, reference and loss for a training on `count` pairs. Raises UserError where a reference would need more than
    MAX_ADAPTERS."""
    from stages.lib.core import seeds
    from stages.lib.core.errors import UserError
    from stages.lib.models import loading
    from stages.lib.models.preference import PreferenceObjective
    from stages.lib.models.reference import make_reference
    from stages.lib.training import loop

    policy = loading.add_lora(model, run.params.lora_rank, seeds.key(run.seed, run.name, "adapters"))
    alpha, tau = run.params.updates
    steps = loop.count_steps(run, count, run.params) if tau and count else 0
    updates = steps // tau if tau else 0
    if run.params.lora_rank and alpha < 1 and updates > MAX_ADAPTERS:
        raise UserError(
            f"preference.tau: {tau} makes {updates} updates of the soft reference in {steps} steps, and with LoRA each "
            f"needs an adapter of its own, of which {MAX_ADAPTERS} are allowed; raise it to "
            f"{steps // (MAX_ADAPTERS + 1) + 1}, or set preference.reference: hard, which needs one"
        )
    reference = make_reference(policy, alpha, tau, updates)
    return PreferenceObjective(policy, reference, run.params.objective, run.params.beta)


def describe_training(rows: list[dict[str, float]], examples: list[Pair]) -> dict[str, float]:
    """Steps, tokens of all pairs, and means over the last tenth of the steps (none without steps)."""
    last = rows[-max(1, len(rows) // 10) :]
    names = ("preference_loss", "accuracy", "margin", "chosen_logprob", "rejected_logprob")
    means = {name: sum(row[name] for row in last) / len(last) for name in names} if last else {}
    tokens = sum(len(example.chosen.ids) + len(example.rejected.ids) for example in examples)
    return {"steps": len(rows), "tokens": tokens, **means}


def select_problems(problems: list[Problem], n: int) -> list[Problem]:
    """n problems in keyed order; a larger n adds to them. The seed is no part of the key, so that trainings with several
    seeds are compared on the same test problems."""
    from stages.generators.preference.pairs import VERSION
    from stages.lib.core import seeds

    return sorted(problems, key=lambda problem: seeds.key("preference", VERSION, problem.id, "evaluate"))[:n]


def evaluate(run: StageRun[Params], policies: Policies, device: Any) -> dict[str, Any]:
    """Figures of dev and test: both policies on the same problems, and what the verifiers are worth for each."""
    from stages.generators.preference import measures
    from stages.lib.core import records
    from stages.lib.datasets import eval_sets
    from stages.lib.inference.sampling import GREEDY

    params, results = run.params, {}
    for name in ("dev", "test"):
        problems = select_problems(eval_sets.load_problems(run, name), params.eval_problems)
        old = read_start(run, name, problems, params.eval_samples)
        new = policies.draw(name, problems, params.eval_samples, params.distribution)
        old_scores, new_scores = [], []
        for verifier in params.verifiers if name == "test" else ():
            for label, samples, scores in (("start", old, old_scores), ("policy", new, new_scores)):
                pools = records.group_by_problem(samples)
                sets = [(problem, pools[problem.id]) for problem in problems]
                scores += measures.score_samples(run, f"{name}-{label}", verifier, sets, device)
        start, policy = (measures.Accuracies(problems, *x) for x in ((old, old_scores), (new, new_scores)))
        greedy = policies.draw(f"{name}-greedy", problems, 1, GREEDY)
        results[name] = {
            "problems": len(problems),
            "n": params.eval_samples,
            "greedy": sum(sample.is_right for sample in greedy) / len(greedy),
            "methods": measures.compare_methods(policy, start, run.seed),
            "curves": {
                label: {method: curve.mean(0).tolist() for method, curve in own.curves.items()}
                for label, own in (("start", start), ("policy", policy))
            },
            "draws": {"start": measures.summarize_draws(old), "policy": measures.summarize_draws(new)},
        }
        if name == "test":
            results[name]["solved"] = {"start": start.list_solved(), "policy": policy.list_solved()}
            results[name]["auc"] = {
                verifier: {"start": start.compute_auc(verifier), "policy": policy.compute_auc(verifier)}
                for verifier in params.verifiers
            }
            first = read_start(run, "test_greedy", problems, 1)
            results[name]["start_greedy"] = sum(sample.is_right for sample in first) / len(first)
            rows = policies.measure_divergence(problems, params.kl_samples)
            results["kl"] = measures.summarize_divergence(rows)
    return results


def read_start(run: StageRun[Params], name: str, problems: list[Problem], n: int) -> list[Sample]:
    """The first n samples of each problem by the generator. Raises UserError where stage samples drew fewer."""
    from stages.generators.preference import measures
    from stages.lib.core import records
    from stages.lib.core.errors import UserError

    samples = records.read_samples(run.input_path("samples", f"{name}.parquet"))
    limited = measures.limit_samples(samples, problems, n)
    if len(limited) != n * len(problems):
        raise UserError(
            f"preference.eval_samples: {n}, but data/samples/{name}.parquet has fewer solutions a problem; lower it, or "
            "raise samples.n_eval"
        )
    return limited


def select_headline(results: dict[str, Any]) -> dict[str, Any]:
    """The figures of results.json that metrics.json repeats."""
    test, methods = results["test"], results["test"]["methods"]
    return {
        "pairs": results["pairs"]["pairs"],
        "steps": results["training"]["steps"],
        "loss": results["training"].get("preference_loss"),
        "heldout_accuracy": results["held_out"]["accuracy"],
        "kl": results["kl"]["mean"],
        "dev_pass_at_1": results["dev"]["methods"]["pass_1"]["policy"],
        "greedy": test["greedy"],
        "pass_at_1": methods["pass_1"]["policy"],
        "gain_pass_at_1": methods["pass_1"]["difference"],
        "gain_majority": methods["majority_n"]["difference"],
        "gain_pass_at_n": methods["pass_n"]["difference"],
        **{f"gain_weighted_{name}": methods[f"weighted_{name}_n"]["difference"] for name in test["auc"]},
    }


def main() -> None:
    run_stage("preference", Params, body)


if __name__ == "__main__":
    main()
