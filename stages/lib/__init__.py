"""Shared nouns of the pipeline, one per file. Nothing here imports a stage."""
