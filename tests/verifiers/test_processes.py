"""Two processes train what one trains: the outcome, the process and the generative verifier.

One start of each number of processes runs all three stages, since starting Python with torch is what costs.
"""

import pytest

from stages.lib.models import loading
from tests.helpers import tiny_models
from tests.verifiers import test_genrm, test_orm, test_prm, test_prm_loss

MODULES = {"orm": test_orm, "prm": test_prm, "genrm": test_genrm}


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    jobs = []
    for name, module in MODULES.items():
        (tmp_path / name).mkdir()
        jobs.append((module.write_inputs(tmp_path / name), name, {**module.SETTINGS, "device_batch_size": 2}))
    (tmp_path / "counts").mkdir()
    counts = {**test_prm.SETTINGS, "device_batch_size": 2, "labels": ["mc_soft"], "loss": "beta_binomial"}
    jobs.append((test_prm_loss.write_counts(tmp_path / "counts"), "prm", counts))
    results = [tiny_models.train_on_processes(count, jobs) for count in (1, 2)]
    for (root, name, _), (one, weights), (two, others) in zip(jobs, *results, strict=True):
        assert tiny_models.has_same_weights(weights, others) and one["steps"] == two["steps"] > 1, name
        start = loading.load_causal_lm(root / "data/generator/model").state_dict()
        assert not tiny_models.has_same_weights(weights, {key: start[key] for key in weights}), f"{name} learnt nothing"
        assert two["dev"] == tiny_models.approx_nested(one["dev"]), name
