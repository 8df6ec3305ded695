"""The beta-binomial likelihood of k successes in n tries, by a mean and a concentration.

A step succeeds with a chance from Beta(mu s, (1 - mu) s), of mean mu and concentration s; k of its n rollouts then
succeed (BetaPRM, Li et al. 2026, arXiv 2605.15529). As s grows, this becomes n times binary cross-entropy on the soft
label k/n. A smaller s says how little n rollouts tell. Up to the binomial coefficient, which no parameter changes,

    -log p = - sum_{i<k} log(mu + i/s) - sum_{i<n-k} log(1 - mu + i/s) + sum_{i<n} log(1 + i/s).

For n = 1 this is binary cross-entropy, whatever s is. Log-gamma functions would give the same, but cancel for large s.
"""

from __future__ import annotations

import torch
from torch import nn


def compute_loss(
    logit: torch.Tensor, log_concentration: torch.Tensor, rate: torch.Tensor, tries: torch.Tensor, max_tries: int
) -> torch.Tensor:
    """The negative log-likelihood of each label, without the binomial coefficient; all shapes (labels,).

    logit: of the mean. rate: share of successes; rate * tries need not be whole, and one try with a rate between 0 and 1 is
    a soft label. max_tries: the most in `tries`, known to the caller so that no GPU is asked.
    """
    earlier = torch.arange(max_tries, device=logit.device, dtype=logit.dtype)  # i, tries before this one
    log_share = earlier.log() - log_concentration[:, None]  # log(i / s); -inf for the first try
    successes = (rate * tries)[:, None]
    failures = tries[:, None] - successes

    def sum_tries(terms: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        return (terms * (count - earlier).clamp(0, 1)).sum(1)

    right = torch.logaddexp(nn.functional.logsigmoid(logit)[:, None], log_share)
    wrong = torch.logaddexp(nn.functional.logsigmoid(-logit)[:, None], log_share)
    total = nn.functional.softplus(log_share)
    return sum_tries(total, tries[:, None]) - sum_tries(right, successes) - sum_tries(wrong, failures)
