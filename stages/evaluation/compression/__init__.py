"""Stage compression: its checkpoints, its corpora and scores, and the report. `__main__.py` says what it reads and writes."""
