"""What the journal says of params.yaml: its preset, and what was changed since the default and since the commit."""

import pytest

from stages.lib.core import settings

DEFAULT = "# The default.\nseed: 1\norm: {lr: 0.1, sizes: [1, 2]}\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / settings.DEFAULT_PRESET).parent.mkdir(parents=True)
    (tmp_path / settings.DEFAULT_PRESET).write_text(DEFAULT)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "committed", "expected"),
    [
        (DEFAULT, DEFAULT, ("default", {}, {})),
        (DEFAULT.replace("0.1", "0.2"), DEFAULT, ("default", {"orm.lr": 0.2}, {"orm.lr": 0.2})),
        ("# python -m stages preset a b\nseed: 2\n", "seed: 3\n", ("a b", {"seed": 2, "orm": None}, {"seed": 2})),
        ("# mine\n" + DEFAULT, "", (None, {}, {})),
        (DEFAULT, "<<<<<<< not: yaml: at all", ("default", {}, {})),
    ],
)
def test_preset_changes_and_edits(root, text, committed, expected):
    (root / "params.yaml").write_text(text)
    assert tuple(settings.describe(root, committed).values()) == expected


def test_without_presets(tmp_path):
    (tmp_path / "params.yaml").write_text(DEFAULT)
    assert settings.describe(tmp_path, "") == {"preset": None, "changes": {}, "edits": {}}
