"""`python -m stages variants`: variants of verifiers, arms of training data and of taught generators, in tables.

Each is a DVC experiment. What they change stands in verifiers.yaml, data.yaml, preference.yaml, honesty.yaml and
adaptation.yaml beside this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

GROUPS = ("verifiers", "data", "preference", "honesty", "adaptation")


def variants(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="verifiers (the default), data, preference, honesty or adaptation, then some of its variants; all if none."
        ),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Run the variants without a result on this commit.")] = False,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Of all but verifiers: training seeds, 1 to this.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Also write the tables to this file, as Markdown.")] = None,
) -> None:
    """Compare variants of the verifiers with the pipeline in this workspace, or arms of training data with random data.

    Arms of stage preference (`preference-ARM-SEED`) are compared over seeds, and dev chooses one; --out FILE.md also
    writes FILE.png. So are arms of stage honesty (`honesty-ARM-SEED`) and adaptation (`adaptation-ARM-SEED`); there
    nothing is chosen.
    --run makes each a DVC experiment, `variant-NAME` or `data-STUDY-ARM-SEED`, in a temporary copy of the repository;
    the workspace does not change. What has its experiment is not run again. Of data, an arm that fails does not stop the
    others; the table names it. MLflow shows these runs beside the pipeline's.
    """
    from stages.commands.variants import adaptation, data, honesty, preference, verifiers
    from stages.lib.core import files

    if out:
        files.check_output("--out", out)
    group, *rest = names if names and names[0] in GROUPS else ("verifiers", *(names or ()))
    if group == "data":
        data.compare_data(rest, run, seeds, out)
    elif group == "preference":
        preference.compare_preference(rest, run, seeds, out)
    elif group == "honesty":
        honesty.compare_honesty(rest, run, seeds, out)
    elif group == "adaptation":
        adaptation.compare_adaptation(rest, run, seeds, out)
    else:
        verifiers.compare_verifiers(rest, run, out)
