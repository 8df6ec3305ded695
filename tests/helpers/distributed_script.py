"""What tests start under stages/launch/*.yaml: `python -m tests.helpers.distributed_script FOLDER NAME ...`, by any
number of processes.

Trains a small model in the named ways of CASES (FOLDER/<name>/final.safetensors and history.csv), and runs the named
stages of CHAIN one after the other on the inputs that `write_inputs` wrote (FOLDER/data). First, the processes must notice
that they do not share a folder (FOLDER/refused.txt), and each must read a saved model whole.
"""

import os
import sys
from pathlib import Path

from accelerate.state import AcceleratorState

from stages.generators import generator, samples
from stages.generators.base import __main__ as base
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.models import loading
from stages.lib.run import distributed
from stages.lib.run.execution import StageRun
from stages.verifiers import labels
from tests.generators import test_base, test_generator, test_ready_made
from tests.helpers import tiny_models, training_script
from tests.helpers.stage_script import make_run, run_body
from tests.verifiers import test_labels

TRAINING_CASES = {
    "adamw": {"device_batch_size": 2, "dropout": 0.1},
    "muon": {
        "device_batch_size": 2,
        "optimizer": "muon",
        "gradient_checkpointing": True,
        "epochs": 2.0,
        "checkpoint_steps": 2,
        "interrupted": True,
    },
    "lora": {"device_batch_size": 2, "lora_rank": 4},
    "bf16": {"device_batch_size": 4, "precision": "bf16"},
    "bf16-lora": {"device_batch_size": 4, "precision": "bf16", "lora_rank": 4},
}
STAGE_PARAMS = {
    "base": base.Params(**{**test_base.SCRATCH, "device_batch_size": 2}),
    "generator": generator.Params(**{**test_generator.SETTINGS, "device_batch_size": 2, "epochs": 1.0}),
    "samples": samples.Params(
        **{**test_ready_made.SAMPLES, "n_ood": 1, "temperature": 0.7, "max_new_tokens": 12, "max_rows": 16}
    ),
    "labels": labels.Params(**{**test_labels.SETTINGS, "max_new_tokens": 12, "samples_per_problem": 2}),
}


def write_inputs(root: Path) -> None:
    """Problems for every stage of CHAIN."""
    for split in ("train", "verifier", "dev", "test"):
        found = [tiny_models.make_problem(i, split) for i in range(9 if split == "train" else 3)]
        records.write_problems(tiny_models.get_problems_path(root, split), found)
    for path in (
        "data/ood/test.jsonl",
        "data/aime/test.jsonl",
        "data/aime/unseen.jsonl",
    ):
        records.write_problems(root / path, [tiny_models.make_problem(40, "test")])


def check_separate_folders(root: Path) -> None:
    """Each process in a folder of its own, as on machines that share none."""
    distributed.VISIBILITY_TIMEOUT = 0.1
    run = make_run(root / os.environ["RANK"], "orm")
    try:
        distributed.init_processes(run)
    except UserError as error:
        (root / "refused.txt").write_text(str(error))
    except SystemExit as end:
        assert end.code == 2 and not run.is_main
    distributed.VISIBILITY_TIMEOUT = 5.0


def check_model_loading(run: StageRun) -> None:
    state = distributed.init_processes(run)
    path = run.root / "model"
    if run.is_main:
        loading.save(tiny_models.make_model("lfm2", len(build_tokenizer())), build_tokenizer(), path)
    state.wait_for_everyone()
    found, wanted = (
        loading.load_causal_lm(path).state_dict(),
        tiny_models.make_model("lfm2", len(build_tokenizer())).state_dict(),
    )
    assert all(found[name].equal(wanted[name]) for name in wanted), "a process read a model in part"


def main(root: Path, names: list[str]) -> None:
    if "RANK" in os.environ:
        check_separate_folders(root)
    check_model_loading(make_run(root, "orm"))
    for name in names:
        if name in TRAINING_CASES:
            AcceleratorState._reset_state()  # one precision for the life of a process, as for a stage
            training_script.main(root / name, count=21, **TRAINING_CASES[name])
            continue
        run = make_run(root, name, STAGE_PARAMS[name])
        run_body(run)
        distributed.init_processes(run)  # the next stage reads what this one wrote


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
