"""Models of quality: pairs of files, what leaks between raw and revised texts, the fit, accuracies and their intervals."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from stages.lib.core.errors import UserError
from stages.lib.selection import pair_accuracy, quality, quality_sources, revision_pairs
from stages.lib.selection.quality import RevisionQuality
from stages.lib.selection.revision_pairs import Pair
from stages.lib.selection.rows import Row
from tests.helpers import saved_verifiers

WORDS = ["red", "green", "blue", "round", "small", "heavy", "old", "new"]


def make_pairs(count=60):
    """The better row answers in whole sentences, with words of the question; of equal length in words."""
    pairs = []
    for i in range(count):
        words = [WORDS[(i * k) % len(WORDS)] for k in (1, 3, 5)]
        question = f"Describe the {words[0]} thing number {i}."
        worse = Row(f"{i}-0", question, f"{words[1]} {words[2]} thing {words[2]} {words[1]} ok", f"g{i}")
        better = Row(f"{i}-1", question, f"The {words[0]} thing is {words[1]} too.", f"g{i}")
        pairs.append(Pair(worse, better, "revised", f"g{i}"))
    return pairs


def write_csv(path, rows, header=("src", "score")):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


RAW = "Instruction: Say hi. Input: to \\u201cBob\\u201d Response: Hi\\nBob"
REVISED = "Instruction: Say hi. Input: to “Bob” Response: Hi\n\nBob."


def test_pairs_of_a_file_without_what_gives_raw_texts_away(tmp_path):
    (pair,) = revision_pairs.read(write_csv(tmp_path / "p.csv", [(RAW, 0), (REVISED, 1)]))
    assert (pair.worse.question, pair.worse.answer) == ('Say hi.\nto "Bob"', "Hi\nBob")
    assert (pair.better.question, pair.better.answer) == ('Say hi.\nto "Bob"', "Hi\n\nBob.")
    assert pair.worse.group == pair.better.group == pair.group and pair.worse.id != pair.better.id
    data = (tmp_path / "p.csv").read_bytes()
    (tmp_path / "p.csv").write_bytes(b"\xef\xbb\xbf" + data + b"\r\n\r\n")
    assert revision_pairs.read(tmp_path / "p.csv") == [pair]
    assert revision_pairs.plain("\\ud83e\\udd14 \\ud83e") == "\U0001f914 \ufffd", "halves of a character are joined"
    assert revision_pairs.plain("print('\\n')\nx") == "print('\\n')\nx", "a text with line ends was never escaped"


@pytest.mark.parametrize(
    ("rows", "header", "reason"),
    [
        ([], ("src", "score"), "p.csv: has no pairs"),
        ([(RAW, 0)], ("text", "score"), "p.csv:1: columns"),
        ([(RAW, 0)], ("src", "score"), "p.csv:2: score 0 without the revised row"),
        ([(RAW, 1), (REVISED, 0)], ("src", "score"), "p.csv:2: score '1'; must be 0"),
        ([(RAW, 0), (REVISED, 1), (RAW, 0), (RAW, 0)], ("src", "score"), "p.csv:7: score '0'; must be 1"),
        ([(RAW, 0), ("hello", 1)], ("src", "score"), "p.csv:3: src must read"),
        ([(RAW, 0, 1)], ("src", "score"), "p.csv:2: 3 columns; must be 2"),
    ],
)
def test_a_bad_file_of_pairs(rows, header, reason, tmp_path):
    with pytest.raises(UserError, match=reason):
        revision_pairs.read(write_csv(tmp_path / "p.csv", rows, header))


def test_no_question_is_on_both_sides_of_a_split():
    pairs = [pair._replace(group=f"g{i // 3}") for i, pair in enumerate(make_pairs(300))]
    parts = revision_pairs.split(pairs, 1)
    groups = [{pair.group for pair in part} for part in parts.values()]
    assert sum(map(len, groups)) == 100 and sum(map(len, parts.values())) == 300
    assert 60 < len(groups[0]) < 95


def test_a_fit_learns_the_difference_and_order_changes_nothing():
    parts = revision_pairs.split(make_pairs(), 1)
    model = RevisionQuality()
    model.fit(parts, 1)
    result = quality.measure(model.score, make_pairs(90)[60:], 1)["revised"]
    assert result.accuracy.mean == 1 and result.auc.mean > 0.95 and result.pairs == 30
    rows = [pair.worse for pair in make_pairs(9)]
    assert model.score(rows)[::-1].tolist() == pytest.approx(model.score(rows[::-1]).tolist(), rel=1e-12)
    again = RevisionQuality()
    again.fit(parts, 1)
    assert model.score(rows).tolist() == again.score(rows).tolist()
    assert model.score([]).shape == (0,)
    quoted = rows[0]._replace(answer='He said "so".\n- so')
    escaped = quoted._replace(answer='He said \\"so\\".\\n\\u2013 so')
    assert model.score([escaped]).tolist() == model.score([quoted]).tolist(), "escapes tell nothing about quality"
    with pytest.raises(UserError, match="no pair in part dev"):
        RevisionQuality().fit(parts | {"dev": []}, 1)


def test_a_ready_embedding_is_used():
    parts, calls = revision_pairs.split(make_pairs(), 1), []

    def embed(texts):
        calls.append(len(texts))
        return np.array([[text.count("The"), len(text)] for text in texts], float)

    model = RevisionQuality(embed, "embedding")
    model.fit(parts, 1)
    assert calls[0] == 2 * len(parts["train"])
    assert quality.measure(model.score, parts["test"], 1)["revised"].accuracy.mean == 1


SCORES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=12)


@given(SCORES)
def test_accuracy_and_auc(triples):
    worse, better, groups = map(np.array, zip(*triples, strict=True))
    result = pair_accuracy.measure(worse, better, list(groups), 1)
    assert result.accuracy.mean == pytest.approx(np.mean((better > worse) + 0.5 * (better == worse)))
    labels = np.repeat([0, 1], len(worse))
    assert result.auc.mean == pytest.approx(roc_auc_score(labels, np.concatenate([worse, better])))
    for interval in (result.accuracy, result.auc):
        assert 0 <= interval.low <= interval.mean <= interval.high <= 1


def test_the_interval_of_the_auc_covers_and_grows_with_groups():
    random = np.random.default_rng(0)
    covered, widths = 0, {1: [], 5: []}
    for trial in range(100):
        for size in widths:
            centres = np.repeat(random.normal(size=60 // size), size)
            worse, better = centres, centres + 1  # all pairs of a group are the same pair
            result = pair_accuracy.measure(worse, better, [str(x) for x in np.repeat(range(60 // size), size)], trial)
            widths[size].append(result.auc.high - result.auc.low)
            covered += size == 1 and result.auc.low <= 0.7602 <= result.auc.high  # Phi(1 / sqrt 2)
    assert covered >= 85 and np.mean(widths[5]) > np.mean(widths[1])


def test_a_sample_of_many_groups(monkeypatch):
    monkeypatch.setattr(pair_accuracy, "MAX_GROUPS", 50)
    random = np.random.default_rng(0)
    worse, better = random.normal(size=(2, 400))
    result = pair_accuracy.measure(worse, better + 1, [str(i) for i in range(400)], 1)
    assert result.pairs == 400 and 0.6 < result.auc.mean < 0.9


def make_solutions(count=80):
    return [
        Row(
            f"p{i}",
            f"Ann has {i + 2}, Bob {i + 9} more. How many has Bob?",
            f"Ann has {i + 2}.\nBob has {i + 2} + {i + 9} = {2 * i + 11}.\n#### {2 * i + 11}",
            f"p{i}",
        )
        for i in range(count)
    ]


def test_planted_pairs_are_measured_kind_by_kind():
    pairs = revision_pairs.plant_pairs(make_solutions(), 1)
    assert len(pairs) == 5 * 80 and {pair.worse.id for pair in pairs} == {pair.better.id for pair in pairs}
    parts = revision_pairs.split(pairs, 1)
    model = RevisionQuality()
    model.fit(parts, 1)
    results = quality.measure(model.score, parts["test"], 1)
    assert set(results) == {*(pair.kind for pair in pairs), "all"}
    assert results["cut_end"].accuracy.mean > 0.9 and results["all"].pairs == len(parts["test"])
    with pytest.raises(UserError, match="apply to none of the rows"):
        revision_pairs.plant_pairs([Row("a", "q", "yes", "a")], 1)


def test_sources_of_a_user(tmp_path):
    rows = [
        (f"Instruction: {pair.worse.question} Response: {row.answer}", side)
        for pair in make_pairs()
        for side, row in enumerate((pair.worse, pair.better))
    ]
    write_csv(tmp_path / "p.csv", rows)
    model = quality_sources.load(f"iqs:{tmp_path / 'p.csv'}", 1)
    assert set(model.accuracies) == {"iqs", "length"}
    assert model.accuracies["iqs"]["revised"].accuracy.mean > model.accuracies["length"]["revised"].accuracy.mean
    length = quality_sources.load("length", 1)
    assert length.score([make_pairs()[0].worse]).tolist() == [len(make_pairs()[0].worse.answer)]
    for source in ("absent", "iqs:absent.csv", "iqs:", "iqs", "planted:absent.jsonl"):
        with pytest.raises(UserError, match="must be length, iqs:PAIRS.csv, planted:FILE or the folder of a verifier"):
            quality_sources.check(source)
    write_csv(tmp_path / "few.csv", rows[:4])
    with pytest.raises(UserError, match="more pairs are needed|some thirty are needed"):
        quality_sources.load(f"iqs:{tmp_path / 'few.csv'}", 1)


@pytest.mark.parametrize("name", ["orm", "prm", "reward"])
def test_a_verifier_rates_rows_as_it_rates_solutions(name, tmp_path_factory):
    from stages.lib.verifiers import registry

    folder = saved_verifiers.save_all(tmp_path_factory.mktemp("models")) / name
    rows = [*make_solutions(3), make_solutions(1)[0]._replace(id="long", answer="1 + 1 = 2\n" * 3000)]
    scores = quality_sources.load(str(folder), 1, "cpu").score(rows)
    judge = registry.load_any(str(folder), None, "reward" if name == "reward" else "assay", None, "auto", "cpu", 8)
    expected = [judge.score_texts(row.question, [row.answer])[0].score for row in rows[:3]]
    assert scores[:3].tolist() == pytest.approx(expected) and scores[3] == 0


@pytest.fixture(scope="module")
def published_parts():
    """CaR's pairs in its own split."""
    root = os.environ.get("ASSAY_BENCHMARKS")
    if not root:
        pytest.skip("ASSAY_BENCHMARKS is not set: the published pairs are not here")
    names = {"train": "train", "dev": "valid", "test": "test"}
    parts = {part: revision_pairs.read(Path(root) / f"car/APE_score_{name}.csv") for part, name in names.items()}
    assert [len(part) for part in parts.values()] == [2032, 254, 254]
    assert not {pair.group for pair in parts["test"]} & {pair.group for pair in parts["train"]}
    return parts


def test_published_pairs(published_parts):
    """Fitted on CaR's train pairs by surface features alone, which takes seconds."""
    model = RevisionQuality(features="surface")
    model.fit(published_parts, 1)
    accuracy = quality.measure(model.score, published_parts["test"], 1)["revised"].accuracy.mean
    assert accuracy == pytest.approx(0.868, abs=0.02)


@pytest.mark.slow
def test_the_figures_of_the_page_on_published_pairs(published_parts):
    """README of the problems, "Selection of rows": accuracy and AUC on CaR's test pairs, of the model and of length."""
    model = RevisionQuality()
    model.fit(published_parts, 1)
    found = [
        quality.measure(score, published_parts["test"], 1)["revised"] for score in (model.score, quality.score_length)
    ]
    percent = [[100 * bound for interval in (result.accuracy, result.auc) for bound in interval] for result in found]
    assert percent[0] == pytest.approx([89.6, 85.3, 92.7, 83.5, 80.6, 86.5], abs=1)
    assert percent[1] == pytest.approx([79.1, 73.9, 83.5, 66.3, 63.8, 68.9], abs=1)
