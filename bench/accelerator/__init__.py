"""What one accelerator does with real sizes; `python -m bench.accelerator` (see `__main__.py`)."""
