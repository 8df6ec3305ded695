"""The repository as a workspace: where stages live, which of them are stale, and MLflow's store.

Knows dvc.yaml and the journal. No stage needs it to compute.
"""
