"""Subcommands of `python -m stages`, one per file."""
