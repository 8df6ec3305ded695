"""Stage arena: its players, their battles, and the report. `__main__.py` says what it reads and writes."""
