"""The stage `samples`: what survives a kill, how problems are shared out, what a draw becomes."""

from types import SimpleNamespace

import pytest

from stages.generators import samples
from stages.lib.core.records import Problem, Sample, Source
from stages.lib.inference.sampling import Draw
from stages.lib.models.encoding import Encoder
from stages.lib.models.prompts import Prompt
from stages.lib.models.stops import StopCriteria
from stages.lib.run import distributed
from tests.helpers import tiny_models


def problem(i: int, **changes) -> Problem:
    fields = dict(
        id=f"toy/test/{i:04}",
        benchmark="toy",
        split="test",
        question="2 + 2?",
        answer="4",
        answer_type="number",
        licence="MIT",
        source=Source(url="here"),
    )
    return Problem(**{**fields, **changes})


class Letters(Encoder):
    """An encoder whose token i is the letter chr(i) and whose end token is 0."""

    def __init__(self):
        self.prompt, self.stops = Prompt(), StopCriteria(None, [0])
        self._lead_ids = []
        self.tokenizer = SimpleNamespace(decode=lambda ids, **_: "".join(map(chr, ids)))


def draw(text: str, finish: str = "stop") -> Draw:
    ids = [ord(letter) for letter in text] + [0] * (finish == "stop")
    return Draw(ids, [-0.5] * (len(ids) - 1) + [-2.0], finish)


def test_a_draw_becomes_a_graded_sample():
    drawn = [draw("2+2=4\n#### 4"), draw("#### 5"), draw("#### 4", "length"), draw("")]
    ((right, wrong, cut, silent),) = samples.make_samples([(0, drawn)], Letters(), [problem(0)])
    assert (right.text, right.answer, right.correct, right.tokens) == ("2+2=4\n#### 4", "4", True, 13)
    assert right.logprob == -0.5 * 12 - 2 and right.min_logprob == -2
    assert (wrong.answer, wrong.correct, wrong.index) == ("5", False, 1)
    assert (cut.answer, cut.correct, cut.finish, cut.text) == (None, False, "length", "#### 4")
    assert (silent.answer, silent.correct, silent.tokens) == (None, False, 1)


def test_where_answers_are_marked_a_solution_that_breaks_off_has_none():
    """Its last number is right by chance, and must neither count nor vote."""
    encoder, drawn = Letters(), [draw("We know 4.\nRight."), draw("2+2=4"), draw("4"), draw("The answer is 4.")]
    ((*unmarked,),) = samples.make_samples([(0, drawn)], encoder, [problem(0)])
    assert [sample.correct for sample in unmarked] == [True] * 4, "where no form was asked for, it is read"
    encoder.prompt = Prompt(marked=True)
    ((*marked,),) = samples.make_samples([(0, drawn)], encoder, [problem(0)])
    assert [(sample.answer, sample.correct) for sample in marked] == [(None, False)] * 2 + [("4", True), ("4", True)]


def group(i: int, n: int = 2) -> list[Sample]:
    return next(samples.make_samples([(0, [draw("#### 4")] * n)], Letters(), [problem(i)]))


@pytest.mark.parametrize("cut", [1, 40, -2, -1])
def test_a_line_cut_off_by_a_kill_is_drawn_again(tmp_path, cut):
    ranks = [SimpleNamespace(checkpoint_dir=tmp_path / "deep", rank=rank, world_size=2) for rank in (0, 1)]
    distributed.append_records(ranks[0], "dev", [group(0), group(1), group(2)])
    part = tmp_path / "deep" / "dev.0.jsonl"
    whole = part.read_bytes()
    last = whole[:-1].rindex(b"\n") + 1
    part.write_bytes(whole[:last] + whole[last:][:cut])
    kept = distributed.load_finished(part.parent, "dev", Sample)
    assert list(kept) == ["toy/test/0000", "toy/test/0001"] + ["toy/test/0002"] * (cut == -1)
    distributed.append_records(ranks[0], "dev", [group(2), group(3)])
    distributed.append_records(ranks[1], "dev", [group(4)])
    distributed.append_records(ranks[0], "test", [group(5)])
    everything = {problem(i).id: group(i) for i in range(5)}
    assert distributed.load_finished(part.parent, "dev", Sample) == everything
    assert sorted(distributed.gather_records(ranks[0], "dev", everything, Sample), key=str) == sorted(
        sum(everything.values(), []), key=str
    )
    with pytest.raises(RuntimeError, match="5 problems where 6"):
        distributed.gather_records(ranks[0], "dev", [*everything, "toy/test/0005"], Sample)
    todo = [distributed.select_shard(run, list(range(8)), {"3": 0, "4": 0}) for run in ranks]
    assert todo == [[0, 2, 6], [1, 5, 7]]


def test_shared_work_is_done_once_and_known_to_all(tmp_path):
    """Two processes one after the other, the first killed in its second problem."""
    ranks = [tiny_models.make_run(tmp_path, "toy", None) for _ in range(2)]
    ranks[1].rank = 1
    asked, workers = [], distributed.LocalWorkers(lambda: None)

    def work(_, mine):
        for i in mine:
            asked.append(i)
            if i == killed:
                raise KeyboardInterrupt
            yield group(i)

    def shared(run, world):
        run.world_size = world
        return distributed.map_sharded(run, workers, "dev", [0, 1, 2, 3], work, Sample, lambda i: problem(i).id)

    killed = 2
    ranks[0].world_size = 2
    with pytest.raises(KeyboardInterrupt):
        shared(ranks[0], 2)
    killed = None
    distributed.append_records(ranks[1], "dev", work(None, [1, 3]))
    assert shared(ranks[0], 1) == {problem(i).id: group(i) for i in range(4)}
    assert asked == [0, 2, 1, 3, 2]


def test_keys_share_nothing_between_seeds_and_do_not_move_when_n_grows():
    assert samples.make_keys(1, problem(0), 4) == samples.make_keys(1, problem(0), 9)[:4]
    everything = [key for seed in (1, 2) for i in range(5) for key in samples.make_keys(seed, problem(i), 8)]
    assert len(set(everything)) == len(everything)


def test_summary():
    rows = [
        sample.model_copy(update={"correct": ok, "finish": end})
        for sample, ok, end in zip(
            group(0) + group(1), (True, False, False, False), ("stop", "stop", "stop", "length"), strict=True
        )
    ]
    assert samples.summarize(rows) == {
        "problems": 2,
        "samples": 4,
        "pass_at_1": 0.25,
        "pass_at_n": 0.5,
        "finished": 0.75,
        "answered": 1.0,
        "tokens": 28,
        "mean_tokens": 7,
    }
