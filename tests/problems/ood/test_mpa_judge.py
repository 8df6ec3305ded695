"""The checks and the judge, measured: planted faults are caught, in bundled, small and published items."""

from stages.lib.procedural.gradeschool import problems as gradeschool
from stages.problems.ood import mpa
from stages.problems.ood.mpa import checks, faults, pipeline, principles
from tests.helpers.mpa_items import REAL, RULES, item, model, real  # noqa: F401


def measured(problems, by, floor):
    report = faults.measure(problems, by, 1)
    for name, found in report.items():
        if found["n"]:
            assert found["recall"] >= floor and found["precision"] >= floor, (name, found)
    return report


def test_the_checks_alone_catch_most_faults_planted_in_the_bundled_benchmark(model):  # noqa: F811
    """The judge says yes to all here, so what is caught the checks caught."""
    report = measured(gradeschool("test", 25, 1), model, 0.75)
    assert report["question"]["good"] == report["context"]["good"] == 25 and report["choices"]["n"] == 0
    planted = report["question"]["by_fault"]
    for name in ("changed number", "exchanged numbers", "negation inserted", "unchanged"):
        assert planted[name][1] > 0 and planted[name][0] >= 0.9 * planted[name][1], (name, planted)


def test_the_checks_alone_catch_all_faults_planted_in_options(model):  # noqa: F811
    report = faults.measure([item(i) for i in range(36)], model, 1)
    for name in ("newchoice", "permute"):
        assert report[name]["recall"] == report[name]["precision"] == 1.0 and report[name]["n"] > 60, report[name]


def test_a_faulty_composition_is_caught_whole(model):  # noqa: F811
    parent = item(3)
    good = pipeline.draw(parent, principles.PRINCIPLES, model, 1, 0)
    assert pipeline.fault(parent, good, principles.PRINCIPLES, model, (0,)) is None
    for name in ("context", "newchoice", "permute"):
        for fault, broken in faults.planted(parent, good, name, 1):
            seen = broken._replace(origin=checks.origins(parent, broken.choices))
            assert pipeline.fault(parent, seen, principles.PRINCIPLES, model, (0,)), (name, fault)


@REAL
def test_published_options_are_permuted_and_planted_faults_in_them_caught():
    problems = real("mmlu", 200)
    kept, rejects = pipeline.variants(problems, "permute", RULES, 1)
    assert len(kept) >= 0.9 * len(problems) and len(kept) + len(rejects) == len(problems)
    assert all(mpa.check(variant) == [] for variant in kept)
    found = faults.measure(problems, RULES, 1)["permute"]
    assert found["recall"] >= 0.95 and found["precision"] >= 0.95, found
