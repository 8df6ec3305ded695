"""Stage compression: its checkpoints, corpora, scores and report. `__main__.py` says what it reads and writes."""
