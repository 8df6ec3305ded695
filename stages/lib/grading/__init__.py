"""From the text of a solution to its answer (`extraction`), and whether that is right (`grader`, `answers`, `code_tests`).

Knows no model, no sampling and no verifier. Gold answers decide `correct` alone, never how answers are grouped for a vote.
"""
