"""From a text to its answer, and whether two answers are equal; programs are run in the sandbox.

Knows no model, no sampling and no verifier. Gold decides `correct` alone, never a vote.
"""
