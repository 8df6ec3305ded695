"""`python -m stages status`: the map of the pipeline and the state of each stage."""


def status() -> None:
    """Show each stage: fresh, stale and why, missing, running or never run; its last cost and its main metric."""
    pass
