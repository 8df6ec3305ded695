"""Comparisons in pairs: battles, ratings of players, the quality of judges, and templates that ask a model for a grade.

Must not know stages, nor how a verifier computes its scores: it is given verdicts, and says what they are worth.
"""
