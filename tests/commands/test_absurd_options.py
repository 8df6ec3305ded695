"""Options out of any sensible range are refused before anything is read or computed."""

import pytest
import typer

from stages import __main__ as command_line
from stages.lib.core.errors import UserError


@pytest.fixture(scope="module")
def call():
    command_line._register_commands()
    return lambda text: command_line.app(text.split(), standalone_mode=False)


@pytest.mark.parametrize(
    "text",
    [
        "arena absent.jsonl --out out --rounds 10",
        "bpc absent.jsonl absent.txt --block 1",
        "bpc absent.jsonl absent.txt --stride 0",
        "bpc absent.jsonl absent.txt --dtype int8",
        "best-of-n absent.jsonl --out out --draws 100000000000",
        "best-of-n absent.jsonl --out out --resamples 1",
        "best-of-n absent.jsonl --out out --power -1",
        "best-of-n absent.jsonl --out out --power nan",
        "best-of-n absent.jsonl --out out --power inf",
        "best-of-n absent.jsonl --out out --top-share nan",
        "best-of-n absent.jsonl --out out --top-share 0",
        "best-of-n absent.jsonl --out out --seed 1.5",
        "best-of-n absent.jsonl --out out --scale x",
        "grade absent.jsonl --tolerance nan",
        "processbench absent.json --threshold inf",
        "processbench absent.json --threshold 0.5 --batch 0",
        "select absent.json --out out.jsonl --keep 0",
        "select absent.json --out out.jsonl --seed -1",
        "select absent.json --out out.jsonl --method absent",
        "seeds --training 0",
        "seeds --training 100000000",
        "ui --port 0",
        "ui --port 99999999",
        "launch ../x orm",
        "launch cpu orm prm",
        "launch cpu absent",
        "preset absent",
        "params absent.key",
    ],
)
def test_absurd_options(text, call):
    with pytest.raises((UserError, typer.BadParameter)) as error:
        call(text)
    assert "absent.json" not in str(error.value), "the option is refused first"
