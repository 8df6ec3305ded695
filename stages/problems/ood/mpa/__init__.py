"""Meta probing (DyVal 2: Zhu et al. 2024, arXiv 2402.14865): an item rewritten by five principles, then judged."""

from stages.problems.ood.mpa.record import check, restore_parent

__all__ = ["check", "restore_parent"]
