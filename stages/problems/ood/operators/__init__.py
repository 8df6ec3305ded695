"""Operators: ways to change a problem, a file for each. How to add one: see `registry.py`."""
