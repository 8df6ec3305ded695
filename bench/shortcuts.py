"""`python -m bench.shortcuts [TASK...]`: how well surface features solve DyVal tasks, singly and in a shallow tree.

Balanced accuracy, cross-validated, over 600 items per task, level and order; chance is 1 / number of answers. Tasks with
open answers have no row.
"""

from __future__ import annotations

import json
import sys

ITEMS = 600


def main(tasks: list[str]) -> None:
    from stages.lib.procedural import dyval
    from stages.problems.ood import shortcuts, surface_features

    for task in tasks or dyval.TASKS:
        for order in dyval.ORDERS:
            for level in dyval.LEVELS[task]:
                problems = dyval.generate_problems(task, ITEMS, 777, level, order)
                labels = shortcuts.label_classes(problems)
                if labels is None:
                    continue
                names, rows = surface_features.build_feature_table(problems, sorted(set(labels)))
                single = {
                    name: shortcuts.tree_accuracy([[row[at]] for row in rows], labels, problems)
                    for at, name in enumerate(names)
                }
                best = max(single, key=lambda name: single[name])
                figures = {
                    "chance": round(1 / len(set(labels)), 3),
                    "best_cue": best,
                    "best": round(single[best], 3),
                    "tree": round(shortcuts.tree_accuracy(rows, labels, problems), 3),
                }
                print(json.dumps({"task": task, "order": order, "level": level, **figures}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
