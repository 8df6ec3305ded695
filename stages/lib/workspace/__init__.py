"""The repository as a workspace: which stages are stale, where they live, MLflow's store.

Knows dvc.yaml and the journal; no stage needs it to compute.
"""
