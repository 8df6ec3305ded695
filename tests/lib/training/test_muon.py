"""The batched optimizer makes the steps of torch.optim.Muon."""

import pytest
import torch

from stages.lib.training.muon import Muon, orthogonalize


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 16, 6), (2, 6, 16)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
    assert values.min() > 0.3 and values.max() < 1.3


def test_steps_are_those_of_torch():
    torch.manual_seed(0)
    shapes = [(8, 8), (24, 8), (8, 24), (8, 8)]
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    pair = Muon(ours, lr=0.02, weight_decay=0.1), torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, momentum=0.95)
    for _ in range(5):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        for optimizer in pair:
            optimizer.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, atol=5e-3, rtol=0)  # theirs iterates in bfloat16


def test_state_survives_saving():
    p = torch.nn.Parameter(torch.randn(4, 4))
    optimizer = Muon([p], lr=0.1)
    p.grad = torch.randn(4, 4)
    optimizer.step()
    other = Muon([p], lr=0.1)
    other.load_state_dict(optimizer.state_dict())
    assert torch.equal(other.state[p]["momentum_buffer"], optimizer.state[p]["momentum_buffer"])
