"""Grading: the answer in a text, whether two answers are equal, and programs run against tests in a sandbox.

Knows no model, no sampling and no verifier. Gold decides whether a sample is correct; it never helps a vote.
"""
