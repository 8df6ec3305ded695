"""Stage pseudocode: tasks, plans, replies, a training study and the report. `__main__.py` says what it reads and writes."""
