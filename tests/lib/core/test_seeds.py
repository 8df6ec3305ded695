"""Keyed randomness: a draw depends on its key and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from stages.lib.core import seeds

PART = st.one_of(st.integers(), st.text(max_size=8), st.booleans(), st.none())
PARTS = st.lists(PART, max_size=4).map(tuple)


def typed(parts):
    return [(type(part), part) for part in parts]


@given(PARTS, PARTS)
def test_different_parts_give_different_keys(a, b):
    assert (seeds.key(*a) == seeds.key(*b)) == (typed(a) == typed(b))


def test_the_same_in_every_process_whatever_the_hash_seed():
    code = (
        "from stages.lib.core import seeds; print(seeds.key(42, 'samples', 1, 'id', 'x'), seeds.rng(1, 'a').random())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(n)},
            check=True,
        ).stdout
        for n in (0, 1)
    }
    assert outputs == {f"{seeds.key(42, 'samples', 1, 'id', 'x')} {seeds.rng(1, 'a').random()}\n"}


def test_adjacent_seeds_share_nothing():
    first, second = ({seeds.key(seed, "stage", 1, item, "f") for item in range(5000)} for seed in (42, 43))
    assert len(first) == len(second) == 5000 and not first & second


def test_uniforms_are_uniform():
    draws = seeds.uniforms(42, "stage", n=100_000)
    assert draws.min() >= 0 and draws.max() < 1
    assert abs(draws.mean() - 0.5) < 0.005 and abs(draws.var() - 1 / 12) < 0.002
