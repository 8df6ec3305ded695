"""Runs a stage: its parameters, lock, processes and checkpoints, the journal, and the copy of it in MLflow.

Knows neither what a stage computes nor any model. A tracking server that is down never stops a stage.
"""
