"""The repository as a workspace: where stages are, which are stale, and MLflow's store.

Knows dvc.yaml and the journal. No stage needs it to compute.
"""
