"""The checks and the judge, measured: planted faults are caught, in bundled, small and published items."""

import pytest

from stages.lib.procedural.gradeschool import generate_problems as gradeschool
from stages.problems.ood import mpa
from stages.problems.ood.mpa import checks, pipeline, principles
from tests.helpers import planted_faults
from tests.helpers.mpa_items import RULE_AGENTS, load_published, make_item, model, requires_files  # noqa: F401


def measured(problems, by, floor):
    report = planted_faults.measure_judge(problems, by, 1)
    for name, figures in report.items():
        if figures["n"]:
            assert figures["recall"] >= floor and figures["precision"] >= floor, (name, figures)
    return report


@pytest.mark.slow
def test_the_checks_alone_catch_most_faults_planted_in_the_bundled_benchmark(model):  # noqa: F811
    """The judge says yes to all here, so what is caught the checks caught."""
    report = measured(gradeschool("test", 25, 1), model, 0.75)
    assert report["question"]["good"] == report["context"]["good"] == 25 and report["choices"]["n"] == 0
    planted = report["question"]["by_fault"]
    for name in ("changed number", "exchanged numbers", "negation inserted", "unchanged"):
        assert planted[name][1] > 0 and planted[name][0] >= 0.9 * planted[name][1], (name, planted)


@pytest.mark.slow
def test_the_checks_alone_catch_all_faults_planted_in_options(model):  # noqa: F811
    report = planted_faults.measure_judge([make_item(i) for i in range(18)], model, 1)
    for name in ("newchoice", "permute"):
        assert report[name]["recall"] == report[name]["precision"] == 1.0 and report[name]["n"] > 30, report[name]


def test_a_faulty_composition_is_caught_whole(model):  # noqa: F811
    parent = make_item(3)
    good = pipeline.make_draft(parent, principles.PRINCIPLES, model, 1, 0)
    assert pipeline.find_fault(parent, good, principles.PRINCIPLES, model, (0,)) is None
    for name in ("context", "newchoice", "permute"):
        for fault, broken in planted_faults.plant_faults(parent, good, name, 1):
            draft = broken._replace(origin=checks.match_origins(parent, broken.choices))
            assert pipeline.find_fault(parent, draft, principles.PRINCIPLES, model, (0,)), (name, fault)


@requires_files
def test_published_options_are_permuted_and_planted_faults_in_them_caught():
    problems = load_published("mmlu", 100)
    variants, rejects = pipeline.make_variants(problems, "permute", RULE_AGENTS, 1)
    assert len(variants) >= 0.9 * len(problems) and len(variants) + len(rejects) == len(problems)
    assert all(mpa.check(variant) == [] for variant in variants)
    figures = planted_faults.measure_judge(problems, RULE_AGENTS, 1)["permute"]
    assert figures["recall"] >= 0.95 and figures["precision"] >= 0.95, figures
